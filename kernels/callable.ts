/**
 * Every kernel by the path that programs call it by (`asof.pit`), as types: its positional arguments and its result
 * come from its declaration. Features are called by their short name: see `FeatureCall`.
 */
import type { Table } from "apache-arrow";
import type { z } from "zod";
import type { WireResult } from "./features/carry.js";
import type { FeatureName, FeatureParameters } from "./features/index.js";
import type { ArgList } from "./kernel.js";
import type { TypedRegistration } from "./registry.js";

interface Typed {
  readonly name: string;
  readonly __types?: { readonly args: ArgList; readonly result: unknown; readonly formerly: string };
}
type Types<K extends Typed> = NonNullable<K["__types"]>;

/** A call's result must have one type: the form that also returns a carry is another function, see `Carried`. */
type WithoutCarry<T> = T extends unknown ? ("withCarry" extends keyof T ? Omit<T, "withCarry"> : T) : never;
type ResultOf<R> = R extends { readonly carry: unknown } ? never : R;

/** Of the arguments in the order of the wire; a `carry`, which is always the last, is no argument of a plain call. */
type Positional<A extends ArgList> = A extends readonly [
  readonly [infer Name, infer S extends z.ZodType],
  ...infer Rest extends ArgList,
]
  ? Name extends "carry"
    ? []
    : undefined extends z.input<S>
      ? [argument?: WithoutCarry<z.input<S>>, ...rest: Positional<Rest>]
      : [argument: WithoutCarry<z.input<S>>, ...rest: Positional<Rest>]
  : [];

/**
 * The same call of one partition of several in a row: it takes what the previous partition's gave, and gives its table
 * and what the next one takes.
 */
type Carried<K extends Typed> = "carry" extends Types<K>["args"][number][0]
  ? (
      ...args: [
        ...Positional<Types<K>["args"]>,
        previous?: Extract<Types<K>["result"], { readonly carry: unknown }> | undefined,
      ]
    ) => Extract<Types<K>["result"], { readonly carry: unknown }>
  : never;

/** What a call of a kernel is: plain, and with a carry (never if it has none). */
export interface Callable<F, C = never> {
  readonly call: F;
  readonly carried: C;
}

type CallableOf<K extends Typed> = Callable<
  (...args: Positional<Types<K>["args"]>) => ResultOf<Types<K>["result"]>,
  Carried<K>
>;
/** Its name, and those it had. */
type NamesOf<K extends Typed> = K extends Typed ? K["name"] | Types<K>["formerly"] : never;
type GroupOf<Name extends string> = Name extends `${infer Group}.${string}` ? Group : never;
type MemberOf<Name extends string, Group extends string> = Name extends `${Group}.${infer Member}` ? Member : never;

export type Callables = {
  readonly [G in GroupOf<TypedRegistration["name"]>]: {
    readonly [K in TypedRegistration as MemberOf<NamesOf<K>, G>]: CallableOf<K>;
  };
};

/** Parameters that every feature has beside its own. */
export interface FeatureWireParameters {
  /**
   * Of a feature of one column: which it is applied to. Of several: which columns they are, by the conventional name.
   */
  columns?: string[] | Readonly<Record<string, string>>;
  as?: string;
  keep?: string[];
  by?: string;
}

type FeatureOptions<N extends FeatureName> = FeatureParameters<N> & FeatureWireParameters;

/** A feature as a function of a table; the parameters may be left out where each has a default. */
export type FeatureCall<N extends FeatureName> =
  Record<string, never> extends FeatureParameters<N>
    ? (table: Table, params?: FeatureOptions<N>) => Table
    : (table: Table, params: FeatureOptions<N>) => Table;

/** The same over partitions in a row: `previous` is what the call on the partition before gave. */
export type FeatureCarryCall<N extends FeatureName> =
  Record<string, never> extends FeatureParameters<N>
    ? (table: Table, params?: FeatureOptions<N>, previous?: WireResult | undefined) => WireResult
    : (table: Table, params: FeatureOptions<N>, previous?: WireResult | undefined) => WireResult;
