/** docs/kernels.md, written from the declarations of the kernels. */
import { allParametersOf, factsOf, familyOf, type ParameterText } from "../declaration-text.js";
import type { Kernel } from "../kernel.js";

/** Parameters that every feature has, described once. */
const shared = new Set(["columns", "as", "keep", "by", "withCarry"]);

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

const code = (text: string): string => `\`${text}\``;

const parameterRow = ({ name, type, standard, meaning }: ParameterText): string =>
  `| ${code(name)} | ${cell(type)} | ${cell(standard === "" || standard === "required" ? standard : code(standard))} | ${cell(meaning)} |`;

const formerly = ({ formerly = [] }: Kernel): string =>
  formerly.length > 0 ? `, formerly ${formerly.map(code).join(", ")}` : "";

function section(kernel: Kernel): string[] {
  const rows = allParametersOf(kernel, kernel.name.startsWith("feature.") ? shared : new Set()).map(parameterRow);
  const table = rows.length > 0 ? ["", "| parameter | type | default | meaning |", "|---|---|---|---|", ...rows] : [];
  const facts = factsOf(kernel, code).map(([label, text]) => `- ${label}: ${text}`);
  return [
    `### ${code(kernel.name)}`,
    "",
    `${code(`${kernel.name}(${kernel.args.join(", ")})`)}, version ${kernel.version}${formerly(kernel)}. ${kernel.doc}`,
    ...(facts.length > 0 ? ["", ...facts] : []),
    ...table,
    "",
  ];
}

function introduction(kernels: readonly Kernel[]): string[] {
  const feature = kernels.find(({ name }) => name.startsWith("feature."));
  const common = feature ? allParametersOf(feature).filter(({ name }) => shared.has(name)) : [];
  return [
    "# Kernels",
    "",
    "Written by `npm run docs` from the declarations. Arguments are positional: tables first, then one object of parameters. Which option is whose convention,",
    "and by how much the numbers differ, is in [conformance.md](conformance.md).",
    "",
    'What a kernel\'s rows know of the future is declared ("By time"): those of a causal one nothing after their bar, which the look-ahead check proves in the tests of',
    "every kernel; those of a label what came after it, by design; a summary is of the whole input and belongs to its end.",
    "",
    "A kernel is called `family.snake_case`, its arguments and options are camelCase, and a value that is one of several words is kebab-case (`next-open`) unless",
    "it names a column of the result. Former names go on working: `formerly` says them. Without a version the newest is meant, by `cluster.kernel(name)`",
    "and in a graph's JSON alike; results' ids have the version itself, so what was computed by an older version is never taken for a newer one's.",
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
    ...common.map(parameterRow),
    "",
  ];
}

export function renderKernels(kernels: readonly Kernel[]): string {
  const families = new Map<string, Kernel[]>();
  for (const kernel of [...kernels].sort(
    (a, b) => Number(b.name.startsWith("feature.")) - Number(a.name.startsWith("feature.")),
  )) {
    families.set(familyOf(kernel), [...(families.get(familyOf(kernel)) ?? []), kernel]);
  }
  const body = [...families].flatMap(([family, members]) => [`## ${family}`, "", ...members.flatMap(section)]);
  return [...introduction(kernels), ...body].join("\n");
}
