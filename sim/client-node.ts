/**
 * A process that uses a cluster: the product's session, puts and gets as the SDK has them, on the models of network and
 * disk. What it wants of the cluster its owner says (session-client.ts, job-client.ts).
 */

import { DataPlane } from "../client/sdk/data.js";
import { Objects } from "../client/sdk/objects.js";
import { Session } from "../client/sdk/session.js";
import type { ClientStores } from "../proto/durable/durable.js";
import { isVolleyError } from "../proto/errors.js";
import type { ClientId, JobId, TenantId } from "../proto/ids.js";
import type { Runtime } from "../proto/runtime.js";
import { Violation } from "./job-model.js";
import { Process } from "./process.js";
import { processRuntime } from "./process-runtime.js";
import type { Random } from "./random.js";
import { frameTransportBytes, SimTransport } from "./sim-transport.js";
import type { World } from "./world.js";

/** Codes with which the cluster may turn a caller away while something is amiss. */
const passing: ReadonlySet<string> = new Set([
  "NO_SCHEDULER",
  "STALE_EPOCH",
  "DISCONNECTED",
  "TIMEOUT",
  "NO_LISTENER",
  "WORKER_LOST",
  "OUT_OF_MEMORY",
  "CORRUPT",
  "NO_WORKERS",
]);

export class ClientNode {
  readonly address: string;
  readonly process: Process;
  readonly random: Random;
  readonly runtime: Runtime;
  readonly transport: SimTransport;
  readonly session: Session;
  readonly objects: Objects;
  readonly #world: World;

  constructor(world: World, name: string, tenant: string) {
    this.#world = world;
    this.random = world.fork();
    this.address = name;
    this.process = new Process(world, name);
    this.runtime = processRuntime(world, this.process, this.random);
    this.transport = new SimTransport(world.network, this.process, this.runtime);
    const { runtime } = this;
    const onError = (error: unknown): void => this.#onError(error);
    this.session = new Session({
      transport: this.transport,
      client: name as ClientId,
      session: `session-${name}` as JobId,
      tenant: tenant as TenantId,
      onError,
      runtime,
    });
    const frames = new SimTransport(world.network, this.process, runtime, frameTransportBytes);
    const durable: ClientStores = world.disk.open({ process: this.process, isCut: () => world.network.isCut(name) });
    const backend = {
      url: "sim",
      control: this.transport,
      frames: async () => frames,
      durable: async () => durable,
      close: async () => undefined,
    };
    this.objects = new Objects(this.session, backend, new DataPlane(backend, name as ClientId, onError, runtime));
  }

  /** Frames that come in another order end their stream, which is begun again; all else is the product's fault. */
  #onError(error: unknown): void {
    if (isVolleyError(error)) return;
    this.#world.guard(this.address, () => {
      throw error;
    });
  }

  /** It is as patient as can be: who turns away is tested elsewhere. */
  async open(): Promise<void> {
    await this.session.open(Number.POSITIVE_INFINITY).catch((error: unknown) => {
      throw new Violation("session", `${this.address} cannot open its session: ${String(error)}`);
    });
  }

  later(delayMs: number, run: () => void): void {
    this.process.later(delayMs, run);
  }

  /** What comes of a promise of the product's; a throw of these is judged as one of any actor. */
  receive<T>(promise: Promise<T>, taken: (value: T) => void, failed: (error: unknown) => void): void {
    promise.then(
      (value) => this.process.receive(() => taken(value)),
      (error: unknown) => this.process.receive(() => failed(error)),
    );
  }

  /** Throws a Violation unless the failure is one that the misfortunes of this run explain. */
  mustBeMisfortune(what: string, error: unknown): void {
    if (isVolleyError(error) && passing.has(error.code)) return;
    throw new Violation("client", `${this.address}: ${what} failed: ${String((error as Error)?.stack ?? error)}`);
  }
}
