/**
 * What the scheduler need not keep any more for this client: stages and objects, until a beat that lists them has been
 * answered.
 */
import type { ObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ClientRequestOf } from "../../proto/messages/client.js";

type Listed = Pick<ClientRequestOf<"beat">, "released" | "dropped">;

const stagesPerBeatMax = 10_000;
/** Objects of so many bytes do not wait for the next beat: the cluster may want the room. */
const bytesWaitingMax = 8 * 1024 * 1024;

export class GivenBack {
  /** Much is to be said. */
  readonly #onMuch: () => void;
  #released: number[] = [];
  #dropped: { id: ObjectId; generation: number }[] = [];
  #bytes = 0;

  constructor(onMuch: () => void) {
    this.#onMuch = onMuch;
  }

  stage(index: number): void {
    this.#released.push(index);
  }

  object({
    id,
    generation,
    bytes,
  }: {
    readonly id: ObjectId;
    readonly generation: number;
    readonly bytes: number;
  }): void {
    this.#dropped.push({ id, generation });
    this.#bytes += bytes;
    if (this.#bytes > bytesWaitingMax || this.#dropped.length > limits.objectsListedMax / 2) this.#onMuch();
  }

  /** For the next beat. */
  list(): Listed {
    this.#bytes = 0;
    const dropped = this.#dropped.slice(0, limits.objectsListedMax);
    return { released: this.#released.slice(0, stagesPerBeatMax), ...(dropped.length > 0 ? { dropped } : {}) };
  }

  /** The beat was answered. */
  listed({ released, dropped }: Listed): void {
    this.#released = this.#released.slice(released.length);
    this.#dropped = this.#dropped.slice(dropped?.length ?? 0);
  }
}
