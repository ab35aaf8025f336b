/** What a kernel's declaration says, in words: for docs/kernels.md and for the command line. */
import { causalityText } from "./catalog/causality.js";
import type { Kernel } from "./kernel.js";

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** One parameter; `standard` is its default as JSON, "required", or nothing. A nested one is named `columns.close`. */
export interface ParameterText {
  readonly name: string;
  readonly type: string;
  readonly standard: string;
  readonly meaning: string;
}

/** Numbers as people write them; the limits of safe integers are no limits. */
const bound = (x: number): string => (Math.abs(x) >= 1e6 && x % 1e6 === 0 ? x.toExponential() : String(x));

function rangeOf({ minimum, exclusiveMinimum, maximum }: Schema): string {
  const low = minimum === undefined || minimum === Number.MIN_SAFE_INTEGER ? undefined : `≥ ${bound(minimum)}`;
  const above = exclusiveMinimum === undefined ? undefined : `> ${bound(exclusiveMinimum)}`;
  const high = maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? undefined : `≤ ${bound(maximum)}`;
  return [low, above, high].flatMap((text) => text ?? []).join(", ");
}

/** An object among other choices has no rows of its own. */
function fieldsOf({ properties }: Schema): string | undefined {
  if (!properties) return undefined;
  return `{ ${Object.entries(properties)
    .map(([name, { const: value }]) => (value === undefined ? name : `${name}: ${JSON.stringify(value)}`))
    .join(", ")} }`;
}

function typeOf(schema: Schema): string {
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return [...new Set(choices.map((choice) => fieldsOf(choice) ?? typeOf(choice)))].join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items ?? {})}`;
  const range = rangeOf(schema);
  return `${schema.type ?? "any"}${range === "" ? "" : ` ${range}`}`;
}

function parametersOf(schema: Schema, prefix = "", skip: ReadonlySet<string> = new Set()): ParameterText[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    if (skip.has(name)) return [];
    const required = schema.required?.includes(name) && property.default === undefined;
    const standard = property.default === undefined ? (required ? "required" : "") : JSON.stringify(property.default);
    const own = { name: `${prefix}${name}`, type: typeOf(property), standard, meaning: property.description ?? "" };
    return [own, ...parametersOf(property, `${prefix}${name}.`)];
  });
}

/** Those of the argument `params` by their own names, those of others behind the argument's name. */
export const allParametersOf = (kernel: Kernel, skip?: ReadonlySet<string>): ParameterText[] =>
  kernel.args.flatMap((arg) => parametersOf(kernel.argSchema(arg) as Schema, arg === "params" ? "" : `${arg}.`, skip));

/** Parameters that a reader can imagine: what is required, with a number in its range. */
function example(schema: Schema): Record<string, unknown> {
  // A name of a column says nothing about how far back the kernel looks.
  const shown = ({ type, enum: values }: Schema): boolean =>
    values !== undefined || type === "integer" || type === "number";
  const required = (schema.required ?? []).filter(
    (name) => schema.properties?.[name]?.default === undefined && shown(schema.properties?.[name] ?? {}),
  );
  return Object.fromEntries(
    required.map((name) => {
      const { type, minimum = 0, maximum = 252, enum: values } = schema.properties?.[name] ?? {};
      return [name, values ? values[0] : type === "integer" ? 20 : Math.min(Math.max(252, minimum), maximum)];
    }),
  );
}

function lookbackText(kernel: Kernel, params: Schema): string | undefined {
  if (!kernel.lookback) return undefined;
  const given = example(params);
  const bars = kernel.lookback(given);
  if (bars === Number.POSITIVE_INFINITY) return "all bars before (a recurrence)";
  const withWhat =
    Object.keys(given).length > 0
      ? ` with ${Object.entries(given)
          .map((entry) => entry.join(" "))
          .join(", ")}`
      : " with the defaults";
  return `${bars} bars${withWhat}`;
}

/** What else is declared, with its label. `code`: how the name of a column is set. */
export function factsOf(
  kernel: Kernel,
  code: (name: string) => string = (name) => name,
): [label: string, text: string][] {
  const params = (kernel.args.includes("params") ? kernel.argSchema("params") : {}) as Schema;
  const names = (columns: readonly { name: string; type: string }[]): string =>
    columns.map(({ name, type }) => `${code(name)} (${type})`).join(", ");
  const facts: [string, string | undefined][] = [
    ["In", kernel.columns && names(kernel.columns.inputs)],
    ["Out", kernel.columns && names(kernel.columns.outputs)],
    ["By time", causalityText(kernel)],
    ["Lookback", lookbackText(kernel, params)],
    [
      "Lag",
      kernel.lag === undefined ? undefined : kernel.lag === 0 ? "0 (the current bar counts)" : String(kernel.lag),
    ],
    ["Nulls", kernel.nulls],
    ["Cost", kernel.costNs === undefined ? undefined : `about ${kernel.costNs} ns a row`],
  ];
  return facts.flatMap(([label, text]): [string, string][] => (text ? [[label, text]] : []));
}

/** Kernels without a family are of the first part of their names. */
export const familyOf = ({ family, name }: Kernel): string => family ?? name.slice(0, name.indexOf("."));
