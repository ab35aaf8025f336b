/** `volley kernels`: all by family, or one in full. */
import { causalityText, describeKernel, type KernelDescription, kernelNamed, newestKernels } from "volley/kernels";
import { formatTable, type Output } from "./output.js";

export async function kernels(name: string | undefined, output: Output): Promise<void> {
  if (name !== undefined) {
    const kernel = describeKernel(kernelNamed(name));
    return output.result(kernel, () => inFull(kernel));
  }
  const found = newestKernels().map(describeKernel);
  output.result(found, () => byFamily(found));
}

const signature = ({ name, version, args }: KernelDescription): string => `${name}@${version}(${args.map((arg) => arg.name).join(", ")})`;

function byFamily(found: readonly KernelDescription[]): string {
  const families = [...new Set(found.map(({ family }) => family))];
  const part = (family: string): string => {
    const lines = found.filter((kernel) => kernel.family === family).flatMap((kernel) => [`  ${signature(kernel)}`, `      ${kernel.doc}`]);
    return [family, ...lines].join("\n");
  };
  return [...families.map(part), "volley kernels <name> shows one in full."].join("\n\n");
}

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
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
}

function typeOf(schema: Schema): string {
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map(typeOf).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${typeOf(schema.items ?? {})}`;
  const { minimum, exclusiveMinimum, maximum } = schema;
  // The limits of safe integers are those of the type, not of the parameter.
  const range = [
    minimum === undefined || minimum === Number.MIN_SAFE_INTEGER ? [] : `>= ${minimum}`,
    exclusiveMinimum === undefined ? [] : `> ${exclusiveMinimum}`,
    maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? [] : `<= ${maximum}`,
  ].flat();
  return [schema.type ?? "any", ...range].join(" ");
}

/** `required`, and a nested name as `columns.close`. */
function parameterRows(schema: Schema, prefix: string): [string, string, string, string][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const required = schema.required?.includes(name) === true && property.default === undefined;
    const standard = property.default === undefined ? (required ? "required" : "") : JSON.stringify(property.default);
    return [[`${prefix}${name}`, typeOf(property), standard, property.description ?? ""], ...parameterRows(property, `${prefix}${name}.`)];
  });
}

function inFull(kernel: KernelDescription): string {
  const columns = (list: readonly { name: string; type: string }[] | undefined): string | undefined =>
    list?.map((one) => `${one.name} (${one.type})`).join(", ");
  const bars = kernel.lookback === "unbounded" ? "all bars before" : kernel.lookback === undefined ? undefined : `${kernel.lookback} bars with the defaults`;
  const facts: [string, string | undefined][] = [
    ["family", kernel.family],
    ["in", columns(kernel.columns?.inputs)],
    ["out", columns(kernel.columns?.outputs)],
    ["by time", causalityText(kernel)],
    ["lookback", bars],
    ["lag", kernel.lag === undefined ? undefined : kernel.lag === 0 ? "0 (the current bar counts)" : String(kernel.lag)],
    ["nulls", kernel.nulls],
    ["cost", kernel.costNs === undefined ? undefined : `about ${kernel.costNs} ns a row`],
  ];
  const rows = kernel.args.flatMap(({ name, schema }) => parameterRows(schema as Schema, name === "params" ? "" : `${name}.`));
  return [
    signature(kernel),
    kernel.doc,
    "",
    ...facts.flatMap(([name, text]) => (text === undefined ? [] : [`${name.padEnd(10)}${text}`])),
    ...(rows.length > 0 ? ["", formatTable(["parameter", "type", "default", "meaning"], rows)] : []),
  ].join("\n");
}
