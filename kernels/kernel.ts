/**
 * What a kernel is: a name, a version, and a pure function whose arguments are declared and checked once per task,
 * never per row.
 *
 * On the wire arguments are positional; `args` names them in that order, and `run` takes them by name. Same arguments,
 * same bits out: a kernel reads no clock and draws no random number (`volley.sleep` is the one exception, and its value
 * does not depend on time).
 */
import { Table } from "apache-arrow";
import { z } from "zod";
import { isVolleyError, VolleyError } from "../proto/errors.js";
import type { CausalityFacts } from "./catalog/causality.js";
import type { ColumnFact } from "./catalog/description.js";

/** In the order of the wire; a list, because the order of a record's keys is no part of its type. */
export type ArgList = readonly (readonly [name: string, schema: z.ZodType])[];
type ArgsOf<A extends ArgList> = { readonly [E in A[number] as E[0]]: z.output<E[1]> };

/** What a kernel promises beyond its arguments: documentation, the look-ahead check and the scheduler read it. */
export interface KernelFacts extends CausalityFacts {
  /** Heading under which the documentation lists the kernel. */
  readonly family?: string;
  readonly columns?: { readonly inputs: readonly ColumnFact[]; readonly outputs: readonly ColumnFact[] };
  /**
   * How many bars before the current one can touch an output, for parameters as a caller would give them; Infinity for
   * a recurrence that never forgets. Absent: the kernel has no order of bars.
   */
  readonly lookback?: (params: unknown) => number;
  /**
   * Bars between the last bar that an output may depend on and the output's own: 0 uses the current bar. Never
   * negative.
   */
  readonly lag?: number;
  /** What null and NaN do, in words. */
  readonly nulls?: string;
  /** Rough cost of one row and column. */
  readonly costNs?: number;
}

export interface Kernel extends KernelFacts {
  readonly name: string;
  /** Stands in the content address: another result for the same arguments is another version. */
  readonly version: number;
  /** Earlier spellings of the name. */
  readonly formerly?: readonly string[];
  readonly doc: string;
  /** Names of the positional arguments. */
  readonly args: readonly string[];
  /** JSON Schema of one argument (an Arrow table has none and gives `{}`). */
  argSchema(name: string): unknown;
  /** Throws INVALID_ARGUMENT that names argument, path and value. */
  run(...args: readonly unknown[]): unknown;
}

/** A kernel that remembers the types of its declaration, for callers elsewhere (callable.ts). */
export interface TypedKernel<N extends string, A extends ArgList, R = unknown, F extends string = never>
  extends Kernel {
  readonly name: N;
  /** Phantom. */
  readonly __types?: { readonly args: A; readonly result: Awaited<R>; readonly formerly: F };
}

export interface KernelDeclaration<N extends string, A extends ArgList, R = unknown, F extends string = never>
  extends KernelFacts {
  readonly name: N;
  readonly version: number;
  /** Earlier spellings of the name: graphs and programs that have one go on working. */
  readonly formerly?: readonly F[];
  readonly doc: string;
  /** In the order of the wire. */
  readonly args: A;
  readonly run: (args: ArgsOf<A>) => R;
}

/** An Arrow table as an argument. */
export const tableArg = z.custom<Table>((value) => value instanceof Table, { error: "expected an Arrow table" });

/** What a message shows of a value that was refused. */
function show(value: unknown): string {
  if (value instanceof Table) return `a table of ${value.numRows} rows`;
  const text = typeof value === "bigint" ? `${value}n` : (JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of path)
    value = typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
  return value;
}

/** Throws INVALID_ARGUMENT that names kernel, path and value. */
export function parseArg<S extends z.ZodType>(kernel: string, name: string, schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = [name, ...(issue?.path ?? [])].join(".");
  throw new VolleyError(
    "INVALID_ARGUMENT",
    `${kernel}: ${path} is ${show(valueAt(value, issue?.path ?? []))}: ${issue?.message ?? "invalid"}`,
    {
      details: { kernel, path },
    },
  );
}

/**
 * What a kernel throws, with the kernel's name before it and in its details. What columns, prices and parameters are
 * wrong is found by code that many kernels share; whose columns they are is known here, and nobody has to hand the name
 * through.
 */
function namedFault(kernel: string, error: unknown): unknown {
  if (!isVolleyError(error) || error.details?.kernel !== undefined) return error;
  const { code, message, details, remoteStack } = error;
  const text = message.startsWith(`${kernel}: `) ? message : `${kernel}: ${message}`;
  return new VolleyError(code, text, { cause: error, details: { ...details, kernel }, remoteStack });
}

export function defineKernel<const N extends string, const A extends ArgList, R, const F extends string = never>(
  declaration: KernelDeclaration<N, A, R, F>,
): TypedKernel<N, A, R, F> {
  const { args: schemas, run, ...facts } = declaration;
  const { name } = facts;
  const byName = new Map(schemas);
  return {
    ...facts,
    args: schemas.map(([arg]) => arg),
    argSchema: (arg) => z.toJSONSchema(byName.get(arg) ?? z.never(), { unrepresentable: "any", io: "input" }),
    run: (...given) => {
      if (given.length > schemas.length) {
        throw new VolleyError(
          "INVALID_ARGUMENT",
          `${name} takes at most ${schemas.length} arguments (${schemas.map(([arg]) => arg).join(", ")}), got ${given.length}`,
          { details: { kernel: name } },
        );
      }
      const args: Record<string, unknown> = {};
      for (let i = 0; i < schemas.length; i++) {
        const [arg, schema] = schemas[i] as [string, z.ZodType];
        args[arg] = parseArg(name, arg, schema, given[i]);
      }
      try {
        return run(args as ArgsOf<A>);
      } catch (error) {
        throw namedFault(name, error);
      }
    },
  };
}
