/** Objects that a session's client puts: small ones into the scheduler's memory, others with a worker. */
import { putObjectId } from "../proto/address.js";
import { digestOf } from "../proto/digest.js";
import type { ClientId, JobId, ObjectId } from "../proto/ids.js";
import type { Asker } from "./asker.js";
import type { Fetcher } from "./fetcher.js";
import type { Random } from "./random.js";

export class SessionPuts {
  readonly #fetcher: Fetcher;
  readonly #random: Random;
  readonly #asker: Asker;
  readonly #session: JobId;
  readonly #values = new Map<ObjectId, Uint8Array>();

  constructor(fetcher: Fetcher, random: Random, asker: Asker, session: JobId) {
    this.#fetcher = fetcher;
    this.#random = random;
    this.#asker = asker;
    this.#session = session;
  }

  get ids(): ObjectId[] {
    return [...this.#values.keys()];
  }

  valueOf(id: ObjectId): Uint8Array | undefined {
    return this.#values.get(id);
  }

  /** The scheduler says that these are not there any more. */
  tellAgain(ids: readonly ObjectId[]): void {
    for (const id of ids) {
      const data = this.#values.get(id);
      if (data) this.#tell(id, data, () => undefined);
    }
  }

  /** Its ref is known when it is answered for. */
  put(): void {
    const data = Uint8Array.of(1, 2, 3, this.#random.between(0, 255));
    const id = putObjectId(3, data);
    const onDone = (): void => {
      this.#values.set(id, data);
    };
    if (this.#random.chance(0.6)) this.#tell(id, data, onDone);
    else this.#place(id, data, onDone);
  }

  /** To a scheduler that does not know them, before anything is sent that may read them. */
  tellAll(then: () => void, ids: readonly ObjectId[] = this.ids): void {
    const [first, ...rest] = ids;
    if (first === undefined) then();
    else this.#tell(first, this.#values.get(first) as Uint8Array, () => this.tellAll(then, rest));
  }

  #tell(id: ObjectId, data: Uint8Array, onDone: () => void): void {
    const request = {
      t: "put",
      session: this.#session,
      id,
      kind: 3,
      bytes: data.byteLength,
      digest: digestOf(3, data),
      inline: data,
    } as const;
    this.#asker.ask(
      () => request,
      (reply) => {
        if (reply.t === "ok") onDone();
        return reply.t === "ok";
      },
    );
  }

  /** To a worker, which tells the scheduler. Given up if it does not answer: nobody has the ref yet. */
  #place(id: ObjectId, data: Uint8Array, onDone: () => void): void {
    this.#asker.askOnce({ t: "place", bytes: data.byteLength }, (reply) => {
      if (reply.t === "placed")
        void this.#fetcher.offer(reply.worker, id, { kind: 3, data }).then((there) => {
          if (there) this.#hold(id, data, onDone);
        });
    });
  }

  /** Makes the object its own; given up if it has gone again: nobody has its ref yet. */
  #hold(id: ObjectId, data: Uint8Array, onDone: () => void): void {
    const object = { id, kind: 3, bytes: data.byteLength, digest: digestOf(3, data), generation: 1 };
    this.#asker.ask(
      () => ({ t: "hold", session: this.#session, client: this.#asker.address as ClientId, objects: [object] }),
      (reply) => {
        if (reply.t === "held" && reply.missing.length === 0) onDone();
        return reply.t === "held";
      },
    );
  }
}
