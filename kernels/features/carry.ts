/** The state that one partition hands to the next. */
import type { Table } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";

/** What a partition hands to the next one of the same series. */
export interface Carry {
  readonly feature: string;
  readonly version: number;
  /** The parameters it was made with, as JSON. */
  readonly params: string;
  /** A column, or the columns of one application, each. */
  readonly columns: readonly string[];
  /** The column of keys; empty if the table is one series. */
  readonly by: string;
  /** The series by their keys, in order of appearance; one without a name if the table is one series. */
  readonly keys: readonly string[];
  /** The states by series and column, one behind the other. */
  readonly state: Float64Array;
}

/**
 * The answer with `withCarry`. Given whole as the next partition's `carry`, so that a chain of tasks needs nothing
 * between.
 */
export interface WireResult {
  readonly table: Table;
  readonly carry: Carry;
}

const carryObject = z.object({
  feature: z.string(),
  version: z.number(),
  params: z.string(),
  columns: z.array(z.string()),
  by: z.string(),
  keys: z.array(z.string()),
  state: z.custom<Float64Array>((value) => value instanceof Float64Array, { error: "expected a Float64Array" }),
});

/** A carry, or the whole result of the previous partition. */
export const carrySchema = z
  .union([carryObject, z.object({ table: z.unknown(), carry: carryObject }).transform((result) => result.carry)], {
    error: "expected what the previous partition returned with withCarry",
  })
  .optional()
  .describe(
    "What the previous partition of the same series returned with `withCarry`; absent at the beginning of the series.",
  );

/** Whose states they are. */
export type CarryIdentity = Omit<Carry, "keys" | "state">;

/** States of all series, by key and application. */
export class States {
  readonly #identity: CarryIdentity;
  readonly #fresh: Float64Array;
  readonly #byKey = new Map<string, Float64Array[]>();

  /** Throws INVALID_ARGUMENT if the carry is of another feature, parameters or columns. */
  constructor(identity: CarryIdentity, fresh: Float64Array, carry: Carry | undefined) {
    this.#identity = identity;
    this.#fresh = fresh;
    if (carry) this.#take(carry);
  }

  #take(carry: Carry): void {
    const { feature, columns } = this.#identity;
    const refuse = (what: string, got: unknown, expected: unknown): VolleyError =>
      new VolleyError("INVALID_ARGUMENT", `${feature}: carry.${what} is ${got}, this partition has ${expected}`, {
        details: { path: `carry.${what}` },
      });
    for (const key of ["feature", "version", "params", "by"] as const)
      if (carry[key] !== this.#identity[key]) throw refuse(key, carry[key], this.#identity[key]);
    if (carry.columns.join() !== columns.join()) throw refuse("columns", carry.columns.join(), columns.join());
    const each = columns.length * this.#fresh.length;
    if (carry.state.length !== carry.keys.length * each)
      throw refuse("state", `of ${carry.state.length} numbers`, `${carry.keys.length} series of ${each}`);
    carry.keys.forEach((key, i) => {
      this.#byKey.set(
        key,
        columns.map((_, k) =>
          carry.state.slice(i * each + k * this.#fresh.length, i * each + (k + 1) * this.#fresh.length),
        ),
      );
    });
  }

  /** The states of a series, one per application; fresh ones for a series that is new. */
  of(key: string): readonly Float64Array[] {
    const known = this.#byKey.get(key);
    if (known) return known;
    const states = this.#identity.columns.map(() => this.#fresh.slice());
    this.#byKey.set(key, states);
    return states;
  }

  carry(): Carry {
    const all = [...this.#byKey.values()].flat();
    const state = new Float64Array(all.length * this.#fresh.length);
    all.forEach((one, i) => {
      state.set(one, i * this.#fresh.length);
    });
    return { ...this.#identity, keys: [...this.#byKey.keys()], state };
  }
}
