/**
 * A client's way to objects: the product's data plane, to workers that are said to hold them. It asks the scheduler
 * where they are, and gives up in the end.
 */
import { decodeMessage, encodeMessage } from "../proto/codec.js";
import { digestOf, equalBytes } from "../proto/digest.js";
import { isVolleyError } from "../proto/errors.js";
import { fetchObject, offerObject } from "../proto/frames/data-plane.js";
import { FramePeer } from "../proto/frames/peer.js";
import type { ObjectId, WorkerId } from "../proto/ids.js";
import { clientReply } from "../proto/messages/client.js";
import type { ObjectLocation } from "../proto/messages/results.js";
import { pause, type Runtime } from "../proto/runtime.js";
import { subjects } from "../proto/subjects.js";
import type { StoredValue } from "./disk.js";
import type { Process } from "./process.js";
import { processRuntime } from "./process-runtime.js";
import type { Random } from "./random.js";
import { SimTransport } from "./sim-transport.js";
import type { World } from "./world.js";

const roundsMax = 6;
const timeoutMs = 1_000;
const pauseMs = 200;

export class Fetcher {
  readonly #world: World;
  readonly #random: Random;
  readonly #runtime: Runtime;
  readonly #transport: SimTransport;
  readonly #frames: FramePeer;

  constructor(world: World, random: Random, process: Process) {
    this.#world = world;
    this.#random = random;
    this.#runtime = processRuntime(world, process, random);
    this.#transport = new SimTransport(world.network, process, this.#runtime);
    this.#frames = new FramePeer({
      transport: this.#transport,
      peer: process.address,
      runtime: this.#runtime,
      // Frames that come in another order end their stream; it is begun again.
      onError: () => undefined,
    });
  }

  /** undefined: it could not be had. */
  async fetch(id: ObjectId): Promise<StoredValue | undefined> {
    for (let round = 0; round < roundsMax; round++) {
      if (round > 0) await pause(this.#runtime, pauseMs);
      try {
        const found = await this.#tryOnce(id);
        if (found) return found;
      } catch (error) {
        if (!isVolleyError(error)) throw error;
      }
    }
    return undefined;
  }

  async #tryOnce(id: ObjectId): Promise<StoredValue | undefined> {
    const location = await this.#locate(id);
    if (location?.state !== "ready") return undefined;
    const { kind = 3, digest, inline, workers = [] } = location;
    const durable = location.durable && digest ? this.#world.disk.object(id, digest) : undefined;
    if (inline || durable) return inline ? { kind, data: inline } : durable;
    if (workers.length === 0) return undefined;
    const got = await fetchObject({
      transport: this.#transport,
      frames: this.#frames,
      from: this.#random.pick(workers),
      id,
      digest,
      allocate: ({ bytes }) => new Uint8Array(bytes),
      timeoutMs,
    });
    const isRight = equalBytes(digestOf(got.kind, got.data), got.digest);
    return isRight ? { kind: got.kind, data: got.data } : undefined;
  }

  async #locate(id: ObjectId): Promise<ObjectLocation | undefined> {
    const data = await this.#transport.request(subjects.schedulerClient, encodeMessage({ t: "locate", ids: [id] }), {
      timeoutMs,
    });
    const reply = decodeMessage(clientReply, data);
    return reply.t === "located" ? reply.locations.find((one) => one.id === id) : undefined;
  }

  /** Puts an object with a worker; false: it may not be there. */
  async offer(to: WorkerId, id: ObjectId, { kind, data }: StoredValue): Promise<boolean> {
    try {
      const digest = digestOf(kind, data);
      const { transport, frames } = { transport: this.#transport, frames: this.#frames };
      await offerObject({ transport, frames, to, id, kind: kind as never, digest, payload: data });
      return true;
    } catch (error) {
      if (isVolleyError(error)) return false;
      throw error;
    }
  }
}
