/** What kernels declare about time, in data and in words: documentation, listings and the look-ahead check read it. */

/**
 * What a row of the output may depend on. `causal`: on nothing known after the row's bar, which the look-ahead check
 * proves. `label`: the row of a bar says what came after it; made for targets and analysis, and an input of nothing
 * that trades. `summary`: figures of the whole input, which belong to its end and to no bar before it. `tool`: moves or
 * compares values of any kind and means nothing by time.
 */
export const causalities = ["causal", "label", "summary", "tool"] as const;
export type Causality = (typeof causalities)[number];

export interface CausalityFacts {
  readonly causality: Causality;
  /** Parameters, by their name and values, with which the rows of a causal kernel are labels. */
  readonly labelWith?: Readonly<Record<string, readonly string[]>>;
}

const meanings: Readonly<Record<Causality, string>> = {
  causal: "causal: a row depends on nothing known after its bar",
  label: "label: looks ahead by design, a row says what came after its bar",
  summary: "summary: figures of the whole input, which belong to its end",
  tool: "tool: means nothing by time",
};

/** One line for people. */
export function causalityText({ causality, labelWith = {} }: CausalityFacts): string {
  const labels = Object.entries(labelWith).map(
    ([parameter, values]) => `; a label with ${parameter} ${values.join(" or ")}`,
  );
  return [meanings[causality], ...labels].join("");
}

/** What it is with these arguments. */
export function causalityWith({ causality, labelWith = {} }: CausalityFacts, args: readonly unknown[]): Causality {
  const given = (name: string): unknown[] =>
    args.flatMap((arg) => (typeof arg === "object" && arg !== null ? [(arg as Record<string, unknown>)[name]] : []));
  const isLabel = Object.entries(labelWith).some(([name, values]) =>
    given(name).some((value) => values.includes(value as string)),
  );
  return isLabel ? "label" : causality;
}
