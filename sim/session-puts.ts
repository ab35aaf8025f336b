/**
 * Values that a session's client puts: small ones into the scheduler's memory, others with a worker. It may pass a ref
 * on before the put is done, and gives some back. What it still holds it can have again.
 */
import type { PutRef } from "../client/sdk/refs.js";
import { putObjectId } from "../proto/address.js";
import { equalBytes } from "../proto/digest.js";
import { type ErrorCode, isVolleyError } from "../proto/errors.js";
import type { ObjectId, WorkerId } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import type { ClientNode } from "./client-node.js";
import { Violation } from "./job-model.js";
import type { World } from "./world.js";

interface PutValue {
  readonly data: Uint8Array;
  readonly refs: PutRef<unknown>[];
  underWay: number;
  /** At some time no ref was left. */
  wasReleased: boolean;
  readonly failures: Set<ErrorCode>;
}

/** A get that fails is repeated so often after the last fault. */
const getsMax = 5;
const getAgainMs = 2_000;
const nobody = "" as WorkerId;

export class SessionPuts {
  readonly #world: World;
  readonly #node: ClientNode;
  readonly #values = new Map<ObjectId, PutValue>();
  #busy = 0;

  constructor(world: World, node: ClientNode) {
    this.#world = world;
    this.#node = node;
  }

  /** Those that tasks may read. */
  get ids(): ObjectId[] {
    return [...this.#values].filter(([, { refs }]) => refs.length > 0).map(([id]) => id);
  }

  /** A put or a get has not ended. */
  get busy(): boolean {
    return this.#busy > 0;
  }

  valueOf(id: ObjectId): Uint8Array | undefined {
    return this.#values.get(id)?.data;
  }

  /** Its place among what the client has put, for stages that read it. */
  placeOf(id: ObjectId): number | undefined {
    return this.#node.objects.puts.get(id)?.put;
  }

  /** A put of it has failed so. */
  hasFailed(id: ObjectId, code?: ErrorCode): boolean {
    const value = this.#values.get(id);
    if (!value) return false;
    // The session has given it up, and is about to say why.
    if (value.underWay > 0 && this.placeOf(id) === undefined) return true;
    return code === undefined ? value.failures.size > 0 : value.failures.has(code);
  }

  wasReleased(id: ObjectId): boolean {
    return this.#values.get(id)?.wasReleased === true;
  }

  /** Few different ones, so that the same is put again and by several clients. */
  #randomValue(): Uint8Array {
    const { random } = this.#node;
    if (random.chance(0.6)) return Uint8Array.of(1, 2, 3, random.between(0, 60));
    return new Uint8Array(limits.inlineBytesMax + 1 + 100 * random.between(0, 3)).fill(random.between(0, 3));
  }

  put(): void {
    const data = this.#randomValue();
    const id = putObjectId(3, data);
    const value = this.#values.get(id) ?? {
      data,
      refs: [],
      underWay: 0,
      wasReleased: false,
      failures: new Set<ErrorCode>(),
    };
    this.#values.set(id, value);
    if (data.byteLength > limits.inlineBytesMax && this.#node.random.chance(0.5)) {
      this.#stream(id, value);
      return;
    }
    const { ref, done } = this.#node.objects.puts.ref({ kind: 3, data }, data);
    const calm = this.#world.calm && this.#world.isAnotherThere(nobody);
    value.refs.push(ref);
    value.underWay++;
    this.#busy++;
    this.#node.process.emit(`puts ${id}`);
    this.#node.receive(
      done,
      () => {
        value.underWay--;
        this.#busy--;
      },
      (error) => {
        value.underWay--;
        this.#busy--;
        this.#onFailed(id, value, ref, error, calm);
      },
    );
  }

  /** As values are put that their worker names: there is no ref before it is there. */
  #stream(id: ObjectId, value: PutValue): void {
    const { data } = value;
    const { objects, process } = this.#node;
    const calm = this.#world.calm && this.#world.isAnotherThere(nobody);
    this.#busy++;
    process.emit(`streams ${id}`);
    this.#node.receive(
      objects.puts.stream(
        { kind: 3, pieces: [data.subarray(0, 9), data.subarray(9)], byteLength: data.byteLength },
        data,
      ),
      (ref) => {
        this.#busy--;
        if (ref.id !== id) throw new Violation("puts", `${id} was put, and is called ${ref.id}`);
        value.refs.push(ref);
      },
      (error) => {
        this.#busy--;
        this.#couldNot(id, error, calm);
      },
    );
  }

  /** Nobody was given the ref, but what was submitted meanwhile may read it. */
  #onFailed(id: ObjectId, value: PutValue, ref: PutRef<unknown>, error: unknown, calm: boolean): void {
    value.refs.splice(value.refs.indexOf(ref), 1);
    if (isVolleyError(error)) value.failures.add(error.code);
    this.#couldNot(id, error, calm);
  }

  #couldNot(id: ObjectId, error: unknown, calm: boolean): void {
    this.#node.process.emit(`could not put ${id}: ${String(error)}`);
    this.#node.mustBeMisfortune(`the put of ${id}`, error);
    if (calm) throw new Violation("puts", `${this.#node.address} could not put ${id}: ${String(error)}`);
  }

  /** Gives one back, or looks whether it is still what it was. */
  look(): void {
    const { random } = this.#node;
    const held = this.ids;
    if (held.length === 0) return;
    const id = random.pick(held);
    const value = this.#values.get(id) as PutValue;
    if (random.chance(0.3)) {
      this.#node.objects.puts.release(value.refs.pop() as PutRef<unknown>);
      if (value.refs.length === 0) value.wasReleased = true;
    } else this.#get(id, value, 0);
  }

  /** Everything that it holds is still there. */
  lookAtAll(): void {
    for (const id of this.ids) this.#get(id, this.#values.get(id) as PutValue, 0);
  }

  /** What it has put it can have, and it can put again what was lost. */
  #get(id: ObjectId, value: PutValue, tries: number): void {
    this.#busy++;
    this.#node.receive(
      this.#node.objects.fetch(id),
      ({ data }) => {
        this.#busy--;
        if (!equalBytes(data, value.data)) throw new Violation("puts", `${id} is not what was put`);
      },
      (error) => {
        this.#busy--;
        const moot = value.refs.length === 0 || value.failures.size > 0;
        if (moot || (isVolleyError(error) && error.code === "CLOSED")) return;
        if (tries >= getsMax) throw new Violation("puts", `${id} was put, and cannot be had: ${String(error)}`);
        this.#busy++;
        this.#node.later(getAgainMs, () => {
          this.#busy--;
          this.#get(id, value, this.#world.calm ? tries + 1 : 0);
        });
      },
    );
  }
}
