/** Makes a feature of its declaration: the wire kernel, batch and stream. */
import type { Table } from "apache-arrow";
import { z } from "zod";
import { defineKernel, type Kernel, parseArg, tableArg } from "../kernel.js";
import { carrySchema, type WireResult } from "./carry.js";
import type { FeatureDeclaration } from "./declaration.js";
import { applyToTable, wireParameters } from "./wire.js";

/** One bar at a time. */
export interface FeatureStream {
  /** The outputs of the next bar, NaN where not defined; takes one number per input, NaN for missing. */
  push(...inputs: readonly number[]): number[];
  /** A copy, valid for `restore` of a stream with the same parameters, in any process. */
  state(): Float64Array;
  /** Throws INVALID_ARGUMENT if the state is of another length. */
  restore(state: Float64Array): void;
}

export interface Feature<P extends z.ZodObject = z.ZodObject, N extends string = string> extends FeatureDeclaration<P> {
  readonly name: N;
  /** `feature.<name>(table, params, carry?)`. */
  readonly kernel: Kernel;
  /** With defaults filled in. Throws INVALID_ARGUMENT. */
  parse(params: unknown): z.output<P>;
  /** One run over all bars from a fresh state: an array per output. */
  batch(params: z.input<P>, ...inputs: readonly Float64Array[]): Float64Array[];
  stream(params: z.input<P>): FeatureStream;
}

export function defineFeature<
  const N extends string,
  P extends z.ZodObject,
  const I extends readonly string[],
  const O extends readonly string[],
>(exact: FeatureDeclaration<P, I, O> & { readonly name: N }): Feature<P, N> {
  // From here on the number of columns is a matter of the declaration's data, not of its type.
  const declaration = exact as FeatureDeclaration<P>;
  const { name, version, doc, family, nulls, costNs, inputs, outputs, parameters } = declaration;
  const wireName = `feature.${name}`;
  const parse = (params: unknown): z.output<P> => parseArg(wireName, "params", parameters, params);
  // The look-ahead check asks with the parameters of the wire, which also name columns: those keys are not ours.
  const ownKeys = Object.keys(parameters.shape);
  const own = (params: unknown): z.output<P> =>
    parse(Object.fromEntries(Object.entries(params ?? {}).filter(([key]) => ownKeys.includes(key))));
  const kernel = defineKernel({
    name: wireName,
    version,
    causality: "causal",
    doc,
    family,
    columns: {
      inputs: inputs.map((input) => ({ name: input, type: "number" })),
      outputs: outputs.map((output) => ({ name: output, type: "float64" })),
    },
    lookback: (params) => declaration.lookback(own(params)),
    lag: 0,
    nulls,
    costNs,
    args: [
      ["table", tableArg],
      ["params", wireParameters(declaration)],
      ["carry", carrySchema],
    ],
    run: ({ table, params, carry }): Table | WireResult =>
      applyToTable(declaration, own(params), table as Table, params, carry),
  });
  return { ...declaration, name: exact.name, kernel, parse, ...implementations(declaration, wireName, parse) };
}

function implementations<P extends z.ZodObject>(
  declaration: FeatureDeclaration<P>,
  wireName: string,
  parse: (params: unknown) => z.output<P>,
): Pick<Feature<P>, "batch" | "stream"> {
  const { inputs, outputs } = declaration;
  return {
    batch: (params, ...columns) => {
      const rows = columns[0]?.length ?? 0;
      const results = outputs.map(() => new Float64Array(rows));
      declaration.run(declaration.create(parse(params)), columns, 0, rows, results);
      return results;
    },
    stream: (params) => {
      const state = declaration.create(parse(params));
      const bar = inputs.map(() => new Float64Array(1));
      const result = outputs.map(() => new Float64Array(1));
      return {
        push: (...values) => {
          bar.forEach((slot, i) => {
            slot[0] = values[i] ?? Number.NaN;
          });
          declaration.run(state, bar, 0, 1, result);
          return result.map((slot) => slot[0] as number);
        },
        state: () => state.slice(),
        restore: (saved) => {
          parseArg(
            wireName,
            "state",
            z.custom<Float64Array>((value) => value instanceof Float64Array && value.length === state.length, {
              error: `expected a Float64Array of ${state.length}: the state of a stream with the same parameters`,
            }),
            saved,
          );
          state.set(saved);
        },
      };
    },
  };
}
