/**
 * Brings objects to an address: from inline locations, from the disk, from workers that hold them; asks the scheduler
 * where, and gives up in the end.
 */
import { z } from "zod";
import { decodeMessage } from "../proto/codec.js";
import { digestOf, equalBytes } from "../proto/digest.js";
import type { ObjectId } from "../proto/ids.js";
import { clientReply } from "../proto/messages/client.js";
import type { ObjectLocation } from "../proto/messages/results.js";
import { subjects } from "../proto/subjects.js";
import type { StoredValue } from "./disk.js";
import type { Process } from "./process.js";
import type { Random } from "./random.js";
import type { World } from "./world.js";

const answer = z.union([
  z.object({ found: z.literal(true), kind: z.number(), data: z.instanceof(Uint8Array) }),
  z.object({ found: z.literal(false) }),
]);

const roundsMax = 6;
const timeoutMs = 300;
const pauseMs = 200;

export interface FetchedValue extends StoredValue {
  /** It came within its location: nobody keeps it as an object of its own. */
  readonly inline?: true;
}

type Done = (
  found: Map<ObjectId, FetchedValue>,
  missing: ObjectId | undefined,
  location: ObjectLocation | undefined,
) => void;

interface Fetch {
  readonly wants: ReadonlySet<ObjectId>;
  readonly locations: Map<ObjectId, ObjectLocation>;
  readonly own: ReadonlyMap<ObjectId, StoredValue>;
  readonly found: Map<ObjectId, FetchedValue>;
  readonly done: Done;
  rounds: number;
}

export class Fetcher {
  readonly #world: World;
  readonly #random: Random;
  readonly #process: Process;
  readonly #onMissing: ((id: ObjectId) => void) | undefined;

  constructor(world: World, random: Random, process: Process, onMissing?: (id: ObjectId) => void) {
    this.#world = world;
    this.#random = random;
    this.#process = process;
    this.#onMissing = onMissing;
  }

  fetch(
    wants: ReadonlySet<ObjectId>,
    known: readonly ObjectLocation[],
    own: ReadonlyMap<ObjectId, StoredValue>,
    done: Done,
  ): void {
    const locations = new Map(known.map((location) => [location.id, location]));
    this.#process.later(0, () => this.#round({ wants, locations, own, found: new Map(), done, rounds: 0 }));
  }

  #missing(fetch: Fetch): ObjectId[] {
    return [...fetch.wants].filter((id) => !fetch.found.has(id));
  }

  /**
   * Tries every missing object once where it is said to be, waits for what was asked of others, then asks the
   * scheduler.
   */
  #round(fetch: Fetch): void {
    let asked = false;
    for (const id of this.#missing(fetch)) asked = this.#tryOne(fetch, id) || asked;
    if (this.#missing(fetch).length === 0) {
      fetch.done(fetch.found, undefined, undefined);
      return;
    }
    this.#process.later(asked ? timeoutMs : 0, () => this.#locate(fetch));
  }

  #tryOne(fetch: Fetch, id: ObjectId): boolean {
    const { disk, network } = this.#world;
    const location = fetch.locations.get(id);
    if (location?.state !== "ready") return false;
    const own = fetch.own.get(id);
    if (own && location.digest && equalBytes(digestOf(own.kind, own.data), location.digest)) {
      fetch.found.set(id, own);
      return false;
    }
    if (location.inline) {
      fetch.found.set(id, { kind: location.kind ?? 3, data: location.inline, inline: true });
      return false;
    }
    const durable = location.durable && location.digest ? disk.object(id, location.digest) : undefined;
    if (durable) {
      fetch.found.set(id, durable);
      return false;
    }
    const workers = (location.workers ?? []).filter(
      (worker) => worker !== this.#process.address || this.#onMissing?.(id),
    );
    if (workers.length === 0) return false;
    network.request(
      this.#process.address,
      subjects.data(this.#random.pick(workers)),
      { t: "get", id, digest: location.digest },
      (data) => {
        const reply = decodeMessage(answer, data);
        if (reply.found && (!location.digest || equalBytes(digestOf(reply.kind, reply.data), location.digest)))
          fetch.found.set(id, reply);
      },
    );
    return true;
  }

  #locate(fetch: Fetch): void {
    const missing = this.#missing(fetch);
    const [first] = missing;
    if (first === undefined) {
      fetch.done(fetch.found, undefined, undefined);
      return;
    }
    if (++fetch.rounds > roundsMax) {
      fetch.done(fetch.found, first, fetch.locations.get(first));
      return;
    }
    this.#world.network.request(
      this.#process.address,
      subjects.schedulerClient,
      { t: "locate", ids: missing },
      (data) => {
        const reply = decodeMessage(clientReply, data);
        if (reply.t === "located") for (const location of reply.locations) fetch.locations.set(location.id, location);
      },
    );
    this.#process.later(fetch.rounds === 1 ? 20 : pauseMs, () => this.#round(fetch));
  }
}
