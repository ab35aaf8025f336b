/** docs/kernels.md, written from the declarations of the kernels. */
import { causalityText } from "./causality.js";
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
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** Parameters that every feature has, described once. */
const shared = new Set(["columns", "as", "keep", "by", "withCarry"]);

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

/** Numbers as people write them; the limits of safe integers are no limits. */
const bound = (x: number): string => (Math.abs(x) >= 1e6 && x % 1e6 === 0 ? x.toExponential() : String(x));

function rangeOf({ minimum, exclusiveMinimum, maximum }: Schema): string {
  const low = minimum === undefined || minimum === Number.MIN_SAFE_INTEGER ? undefined : `≥ ${bound(minimum)}`;
  const above = exclusiveMinimum === undefined ? undefined : `> ${bound(exclusiveMinimum)}`;
  const high = maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? undefined : `≤ ${bound(maximum)}`;
  return [low, above, high].flatMap((text) => text ?? []).join(", ");
}

function typeOf(schema: Schema): string {
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items ?? {})}`;
  const range = rangeOf(schema);
  return `${schema.type ?? "any"}${range === "" ? "" : ` ${range}`}`;
}

function parameterRows(schema: Schema, prefix: string, skip: ReadonlySet<string>): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    if (skip.has(name)) return [];
    const nested = property.properties ? parameterRows(property, `${prefix}${name}.`, new Set()) : [];
    const required = schema.required?.includes(name) && property.default === undefined;
    const standard = property.default === undefined ? (required ? "required" : "") : `\`${JSON.stringify(property.default)}\``;
    return [`| \`${prefix}${name}\` | ${cell(typeOf(property))} | ${cell(standard)} | ${cell(property.description ?? "")} |`, ...nested];
  });
}

/** Parameters that a reader can imagine: what is required, with a number in its range. */
function example(schema: Schema): Record<string, unknown> {
  // A name of a column says nothing about how far back the kernel looks.
  const shown = ({ type, enum: values }: Schema): boolean => values !== undefined || type === "integer" || type === "number";
  const required = (schema.required ?? []).filter((name) => schema.properties?.[name]?.default === undefined && shown(schema.properties?.[name] ?? {}));
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

function factLines(kernel: Kernel, params: Schema): string[] {
  const names = (columns: readonly { name: string; type: string }[]): string => columns.map(({ name, type }) => `\`${name}\` (${type})`).join(", ");
  const facts: [string, string | undefined][] = [
    ["In", kernel.columns && names(kernel.columns.inputs)],
    ["Out", kernel.columns && names(kernel.columns.outputs)],
    ["By time", causalityText(kernel)],
    ["Lookback", lookbackText(kernel, params)],
    ["Lag", kernel.lag === undefined ? undefined : kernel.lag === 0 ? "0 (the current bar counts)" : String(kernel.lag)],
    ["Nulls", kernel.nulls],
    ["Cost", kernel.costNs === undefined ? undefined : `about ${kernel.costNs} ns a row`],
  ];
  return facts.flatMap(([name, text]) => (text ? [`- ${name}: ${text}`] : []));
}

function section(kernel: Kernel): string[] {
  const feature = kernel.name.startsWith("feature.");
  const schemas = kernel.args.map((arg) => [arg, kernel.argSchema(arg) as Schema] as const);
  const params = schemas.find(([arg]) => arg === "params")?.[1] ?? {};
  const rows = schemas.flatMap(([arg, schema]) => parameterRows(schema, arg === "params" ? "" : `${arg}.`, feature ? shared : new Set()));
  const table = rows.length > 0 ? ["", "| parameter | type | default | meaning |", "|---|---|---|---|", ...rows] : [];
  const facts = factLines(kernel, params);
  return [
    `### \`${kernel.name}\``,
    "",
    `\`${kernel.name}(${kernel.args.join(", ")})\`, version ${kernel.version}. ${kernel.doc}`,
    ...(facts.length > 0 ? ["", ...facts] : []),
    ...table,
    "",
  ];
}

function introduction(kernels: readonly Kernel[]): string[] {
  const feature = kernels.find(({ name }) => name.startsWith("feature."));
  const wire = (feature?.argSchema("params") ?? {}) as Schema;
  const only = Object.fromEntries(Object.entries(wire.properties ?? {}).filter(([name]) => shared.has(name)));
  return [
    "# Kernels",
    "",
    "Written by `npm run docs` from the declarations. Arguments are positional: tables first, then one object of parameters. Which option is whose convention,",
    "and by how much the numbers differ, is in [conformance.md](conformance.md).",
    "",
    'What a kernel\'s rows know of the future is declared ("By time"): those of a causal one nothing after their bar, which the look-ahead check proves in the tests of',
    "every kernel; those of a label what came after it, by design; a summary is of the whole input and belongs to its end.",
    "",
    "## Features",
    "",
    "`feature.<name>(table, params, carry?)` gives a table of as many rows, a column per output. The same numbers, bit for bit, come from one batch, from a stream",
    "of single bars, and from partitions in order: with `withCarry` the answer is `{ table, carry }`, and the next partition takes it as its third argument.",
    "A feature of one column is applied to every column of numbers, or to those in `columns`; one of several columns takes those of the names given below, or",
    'others: `columns: { close: "adjusted" }`. Beside its own parameters every feature has:',
    "",
    "| parameter | type | default | meaning |",
    "|---|---|---|---|",
    ...parameterRows({ properties: only }, "", new Set()),
    "",
  ];
}

/** Kernels without a family come under the first part of their names. */
const familyOf = ({ family, name }: Kernel): string => family ?? name.slice(0, name.indexOf("."));

export function renderKernels(kernels: readonly Kernel[]): string {
  const families = new Map<string, Kernel[]>();
  for (const kernel of [...kernels].sort((a, b) => Number(b.name.startsWith("feature.")) - Number(a.name.startsWith("feature.")))) {
    families.set(familyOf(kernel), [...(families.get(familyOf(kernel)) ?? []), kernel]);
  }
  const body = [...families].flatMap(([family, members]) => [`## ${family}`, "", ...members.flatMap(section)]);
  return [...introduction(kernels), ...body].join("\n");
}
