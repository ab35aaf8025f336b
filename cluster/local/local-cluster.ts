/**
 * A whole cluster on this machine: nats-server, scheduler, workers and gateway as child processes, supervised, on
 * loopback, with credentials of its own. Nothing of it outlives this process, however this process ends.
 */
import { randomBytes } from "node:crypto";
import { createWriteStream, type WriteStream } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { VolleyError } from "../../proto/errors.js";
import type { NatsRole } from "../../proto/permissions.js";
import { cores, memoryBytes, slotHeapBytes } from "../process/host.js";
import { type LocalNats, startLocalNats } from "./nats-server.js";
import type { NatsBinary } from "./nats-sources/source.js";
import { resolveNatsServer } from "./resolve-nats.js";
import { type RoleInstance, type RoleName, startRole } from "./role-process.js";
import { type Instance, type Supervised, type SupervisionEvent, supervise } from "./supervise.js";

const workersMax = 256;
/** Unless told otherwise there is one slot per core, spread over at most this many workers. */
const workersMaxDefault = 8;
/**
 * All object stores of a local cluster together take at most a quarter of the memory, the heaps of all slots half of
 * it.
 */
const storeBytesMax = 2 ** 30;
const storeBytesMin = 64 * 2 ** 20;
const spillFolder = "spill";

type ProcessRole = "nats" | RoleName;

export interface ClusterProcess {
  readonly role: ProcessRole;
  readonly name: string;
  readonly pid: number;
}

export type ClusterEvent =
  | { readonly type: "progress"; readonly text: string }
  | { readonly type: "ready"; readonly role: ProcessRole; readonly name: string; readonly pid: number }
  | ({ readonly role: ProcessRole; readonly name: string } & SupervisionEvent);

/** A process that ended although nobody had asked it to. It was started again. */
export interface UnexpectedExit {
  readonly name: string;
  readonly how: string;
  /** Of its log. */
  readonly lastLines: readonly string[];
}

/** Signals that stop a process for a while or let it go on, and end none. */
const passing: ReadonlySet<NodeJS.Signals> = new Set(["SIGSTOP", "SIGCONT"]);

export interface LocalClusterOptions {
  readonly workers?: number;
  /** Threads per worker. */
  readonly slots?: number;
  /** Default true. */
  readonly gateway?: boolean;
  /** Default: any free port. */
  readonly gatewayPort?: number;
  /** Default: a temporary folder, removed in the end. */
  readonly dataDir?: string;
  /** Bearer token of the gateway. Default: generated. */
  readonly token?: string;
  /** Further environment of every role, e.g. VOLLEY_LOG. */
  readonly env?: Readonly<Record<string, string>>;
  readonly onEvent?: (event: ClusterEvent) => void;
  /** Ends a start that is under way. A running cluster is ended by `stop`. */
  readonly signal?: AbortSignal;
}

export interface LocalCluster {
  /** nats://client:password@127.0.0.1:port: of the user for clients. */
  readonly url: string;
  /** Of each role's own user (proto/permissions.ts). */
  readonly urls: Readonly<Record<NatsRole, string>>;
  readonly gatewayUrl?: string;
  readonly token: string;
  readonly dataDir: string;
  /** What runs right now. */
  readonly processes: readonly ClusterProcess[];
  /** Oldest first: whoever relies on these processes should look here, as a restart hides what ended them. */
  readonly unexpectedExits: readonly UnexpectedExit[];
  /**
   * Sends a signal to a process, by name ("nats", "scheduler", "worker-1", "gateway"). If it dies of it, it is started
   * again.
   */
  kill(name: string, signal?: NodeJS.Signals): void;
  /** Resolves with the new worker's name when it has joined. */
  addWorker(): Promise<string>;
  /** Ends every process; resolves when they are gone. */
  stop(): Promise<void>;
}

interface Member {
  readonly role: ProcessRole;
  readonly name: string;
  readonly supervised: Supervised<Instance>;
}

/** Resolves when every role serves. On failure everything that was started is stopped. */
export async function startLocalCluster(options: LocalClusterOptions = {}): Promise<LocalCluster> {
  const shape = clusterShape(options);
  // First of all, because it may take a minute, and whoever loses patience meanwhile shall find nothing left behind.
  const binary = await resolveNatsServer({
    onProgress: (text) => options.onEvent?.({ type: "progress", text }),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  const temporary = options.dataDir === undefined;
  const dataDir = resolve(options.dataDir ?? (await mkdtemp(join(tmpdir(), "volley-local-"))));
  await mkdir(join(dataDir, "logs"), { recursive: true, mode: 0o700 });
  const token = options.token ?? randomBytes(32).toString("base64url");
  const parts = new ClusterParts(options, dataDir, temporary, shape);
  try {
    const urls = await parts.startNats(binary);
    parts.progress(
      `starting scheduler, ${shape.workers} ${shape.workers === 1 ? "worker" : "workers"}${shape.gateway ? " and gateway" : ""}`,
    );
    const gateway = shape.gateway ? [parts.startGateway(token, options.gatewayPort ?? 0)] : [];
    const workers = Array.from({ length: shape.workers }, () => parts.startWorker());
    await parts.allOrGiveUp([parts.startScheduler(), ...workers, ...gateway]);
    const gatewayUrl = await gateway[0];
    return {
      url: urls.client,
      urls,
      ...(gatewayUrl ? { gatewayUrl } : {}),
      token,
      dataDir,
      get processes() {
        return parts.processes();
      },
      unexpectedExits: parts.unexpectedExits,
      kill: (name, signal = "SIGKILL") => parts.kill(name, signal),
      addWorker: () => parts.startWorker(),
      stop: () => parts.stop(),
    };
  } catch (error) {
    await parts.stop();
    throw error;
  }
}

/** The supervised processes of one cluster, and the order in which they end. */
class ClusterParts {
  readonly #options: LocalClusterOptions;
  readonly #dataDir: string;
  readonly #temporary: boolean;
  readonly #shape: Shape;
  readonly #members: Member[] = [];
  readonly #logs: WriteStream[] = [];
  /** Ends starts that are under way, when another has failed or the caller has lost interest. */
  readonly #giveUp = new AbortController();
  /** Those that `kill` has asked to end. */
  readonly #asked = new Set<number>();
  readonly unexpectedExits: UnexpectedExit[] = [];
  #workersNamed = 0;
  #urls: Readonly<Record<NatsRole, string>> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: LocalClusterOptions, dataDir: string, temporary: boolean, shape: Shape) {
    this.#options = options;
    this.#dataDir = dataDir;
    this.#temporary = temporary;
    this.#shape = shape;
    options.signal?.addEventListener("abort", () => this.#giveUp.abort(options.signal?.reason), { once: true });
    if (options.signal?.aborted) this.#giveUp.abort(options.signal.reason);
  }

  progress(text: string): void {
    this.#emit({ type: "progress", text });
  }

  /**
   * Returns the urls. The server keeps port, store and credentials over its restarts, so that everybody just
   * reconnects.
   */
  async startNats(binary: NatsBinary): Promise<Readonly<Record<NatsRole, string>>> {
    this.progress(`starting nats-server ${binary.version} (from ${binary.source})`);
    let first: LocalNats | undefined;
    const nats = await this.#add("nats", "nats", async () => {
      const again = first ? { port: first.port, user: first.user, password: first.password, roles: first.roles } : {};
      const scratchDir = this.#temporary ? this.#dataDir : undefined;
      const server = await startLocalNats({
        dataDir: join(this.#dataDir, "nats"),
        binary: binary.path,
        scratchDir,
        ...again,
      });
      first ??= server;
      return server;
    });
    const { urls } = nats.current();
    this.#urls = urls;
    // The data folder is ours alone now. What was spilled in a former life belongs to nobody.
    const spill = join(this.#dataDir, spillFolder);
    await rm(spill, { recursive: true, force: true });
    await mkdir(spill, { mode: 0o700 });
    return urls;
  }

  async startScheduler(): Promise<void> {
    await this.#addRole("scheduler", "scheduler", () => ({}));
  }

  async startWorker(): Promise<string> {
    const name = `worker-${++this.#workersNamed}`;
    const given: Readonly<Record<string, string | undefined>> = { ...process.env, ...this.#options.env };
    await this.#addRole("worker", name, () => ({
      // Another id for every process: the scheduler shall not take a restarted worker for the one that died.
      VOLLEY_WORKER: `${name}-${randomBytes(3).toString("hex")}`,
      VOLLEY_SLOTS: String(this.#shape.slots),
      VOLLEY_SPILL_FOLDER: join(this.#dataDir, spillFolder),
      ...(given.VOLLEY_STORE_BYTES ? {} : { VOLLEY_STORE_BYTES: String(this.#shape.storeBytes) }),
      ...(given.VOLLEY_THREAD_HEAP_BYTES ? {} : { VOLLEY_THREAD_HEAP_BYTES: String(this.#shape.heapBytes) }),
    }));
    return name;
  }

  async startGateway(token: string, port: number): Promise<string | undefined> {
    let fixedPort = port;
    const gateway = await this.#addRole("gateway", "gateway", () => ({ VOLLEY_GATEWAY_PORT: String(fixedPort) }), {
      VOLLEY_TOKEN: token,
    });
    const { url } = gateway.current().ready;
    if (url) fixedPort = Number(new URL(url).port); // A restarted gateway is found where it was.
    return url;
  }

  /**
   * Like Promise.all, but at the first failure it makes the others give up and waits for them, so that nothing is under
   * way any more.
   */
  async allOrGiveUp(starts: readonly Promise<unknown>[]): Promise<void> {
    let failure: { error: unknown } | undefined;
    const watched = starts.map((start) =>
      start.catch((error) => {
        failure ??= { error };
        this.#giveUp.abort();
      }),
    );
    await Promise.all(watched);
    this.#options.signal?.throwIfAborted();
    if (failure) throw failure.error;
  }

  processes(): ClusterProcess[] {
    return this.#members
      .filter(({ supervised }) => supervised.isRunning())
      .map(({ role, name, supervised }) => ({ role, name, pid: supervised.current().pid }));
  }

  kill(name: string, signal: NodeJS.Signals): void {
    const member = this.#members.find((candidate) => candidate.name === name);
    if (!member)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `No process is called ${JSON.stringify(name)}; there are ${this.#members.map((known) => known.name).join(", ")}.`,
      );
    const instance = member.supervised.current();
    if (!passing.has(signal)) this.#asked.add(instance.pid);
    instance.signal(signal);
  }

  /** Those that ask end before those that answer. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  async #stopAll(): Promise<void> {
    this.#giveUp.abort();
    for (const role of ["gateway", "worker", "scheduler", "nats"] as const) {
      await Promise.all(
        this.#members.filter((member) => member.role === role).map(({ supervised }) => supervised.stop()),
      );
    }
    for (const log of this.#logs) log.end();
    if (this.#temporary) await rm(this.#dataDir, { recursive: true, force: true, maxRetries: 3 });
  }

  #emit(event: ClusterEvent): void {
    this.#options.onEvent?.(event);
  }

  async #add<I extends Instance>(
    role: ProcessRole,
    name: string,
    start: (signal: AbortSignal) => Promise<I>,
  ): Promise<Supervised<I>> {
    const supervised = await supervise(start, (event) => {
      if (event.type === "ended" && !this.#asked.delete(event.pid))
        this.unexpectedExits.push({ name, how: event.how, lastLines: event.lastLines });
      this.#emit({ role, name, ...event });
    });
    this.#members.push({ role, name, supervised });
    this.#emit({ type: "ready", role, name, pid: supervised.current().pid });
    return supervised;
  }

  #addRole(
    role: RoleName,
    name: string,
    ownEnv: () => Record<string, string>,
    secrets: Record<string, string> = {},
  ): Promise<Supervised<RoleInstance>> {
    const log = createWriteStream(join(this.#dataDir, "logs", `${name}.log`), { mode: 0o600 });
    log.on("error", () => {}); // A full disk must not end the cluster for the sake of its log.
    this.#logs.push(log);
    return this.#add(role, name, (signal) =>
      startRole({
        role,
        name,
        signal: AbortSignal.any([signal, this.#giveUp.signal]),
        env: { VOLLEY_METRICS_PORT: "0", ...this.#options.env, ...ownEnv() },
        secrets: { VOLLEY_URL: this.#urls?.[role] ?? "", ...secrets },
        onLine: (line) => log.write(`${line}\n`),
      }),
    );
  }
}

interface Shape {
  readonly workers: number;
  readonly slots: number;
  /** Budget of one worker's object store. */
  readonly storeBytes: number;
  /** Of one slot's thread. */
  readonly heapBytes: number;
  readonly gateway: boolean;
}

function clusterShape(options: LocalClusterOptions): Shape {
  const all = cores();
  const workers = options.workers ?? Math.min(all, workersMaxDefault);
  const slots = options.slots ?? Math.max(1, Math.floor(all / Math.max(workers, 1)));
  if (!Number.isInteger(workers) || workers < 0 || workers > workersMax)
    throw new VolleyError("INVALID_ARGUMENT", `workers is ${workers}: expected a whole number from 0 to ${workersMax}`);
  if (!Number.isInteger(slots) || slots < 1)
    throw new VolleyError("INVALID_ARGUMENT", `slots is ${slots}: expected a whole number of at least 1`);
  const share = memoryBytes() / Math.max(workers, 1);
  const storeBytes = Math.min(storeBytesMax, Math.max(storeBytesMin, Math.floor(share / 4)));
  return { workers, slots, storeBytes, heapBytes: slotHeapBytes(share, slots), gateway: options.gateway ?? true };
}
