/**
 * Which mutations the simulation catches, by which rule, and after how many seeds: each in a process of its own, two
 * at a time. What a seed shows counts as a catch only if the same seed is clean, under the same misfortunes, without
 * the mutation: else it is a fault of the product, or of a judge, and is said to be one.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { withMutationTree } from "./mutated-tree.js";
import { mutations } from "./mutations.js";
import { type Outcome, type SimulationOptions, simulate } from "./simulation.js";

export interface Catch {
  readonly mutation: string;
  readonly area: string;
  readonly doc: string;
  /** Seeds that were run, the one that caught it with them. */
  readonly seeds: number;
  readonly seconds: number;
  /** undefined: not caught. */
  readonly rule: string | undefined;
  readonly message: string;
  /** Seeds that are not clean without the mutation, with what they show. */
  readonly unclean: readonly Violated[];
}

export interface Violated {
  readonly seed: number;
  readonly rule: string;
  readonly message: string;
}

type Run = (options: SimulationOptions) => Promise<Outcome>;

/** Runs `use` with a simulation in which this bug is planted, and one without it under the same misfortunes. */
export function withMutation<T>(name: string, use: (run: Run, control: Run) => Promise<T>): Promise<T> {
  const mutation = mutations[name];
  if (!mutation)
    throw new RangeError(
      `no mutation is named ${JSON.stringify(name)}; there are: ${Object.keys(mutations).join(", ")}`,
    );
  const under =
    (run: Run): Run =>
    (options) =>
      run({ ...options, faults: { ...mutation.faults, ...options.faults } });
  return withMutationTree(mutation.edits, (run) => use(under(run), under(simulate)));
}

const processesMax = 2;

/** Every mutation (or those named), each until it is caught or `seeds` seeds have been run. */
export async function huntAll(seeds: number, names?: readonly string[]): Promise<Catch[]> {
  const known = Object.entries(mutations).map(([mutation, { doc, area }]) => ({ mutation, area, doc }));
  const all = names ? known.filter(({ mutation }) => names.includes(mutation)) : known;
  const caught: Catch[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < all.length; at = next++) {
      const item = all[at] as (typeof all)[number];
      caught[at] = { ...item, ...(await hunt(item.mutation, seeds)) };
    }
  };
  await Promise.all(Array.from({ length: processesMax }, work));
  return caught;
}

interface Report {
  readonly seeds: number;
  readonly seconds: number;
  readonly violations: readonly Violated[];
  readonly unclean: readonly Violated[];
}

function hunt(mutation: string, seeds: number): Promise<Omit<Catch, "mutation" | "area" | "doc">> {
  const main = fileURLToPath(new URL("main.js", import.meta.url));
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [main, "--mutation", mutation, "--seeds", String(seeds), "--json"],
      { maxBuffer: 1 << 26 },
      (error, stdout, stderr) => {
        const line = stdout.trimEnd().split("\n").at(-1) ?? "";
        if (!line.startsWith("{")) {
          resolve({
            seeds: 0,
            seconds: 0,
            rule: undefined,
            message: `no report: ${stderr || (error?.message ?? line)}`,
            unclean: [],
          });
          return;
        }
        const { seeds: run, seconds, violations, unclean } = JSON.parse(line) as Report;
        const [found] = violations;
        resolve({
          seeds: run,
          seconds,
          rule: found?.rule,
          message: firstLine(found?.message),
          unclean,
        });
      },
    );
  });
}

const firstLine = (message = ""): string => message.split("\n")[0]?.slice(0, 200) ?? "";

export function tableOf(caught: readonly Catch[]): string {
  const rows = caught.map(({ mutation, area, seeds, seconds, rule, message, unclean }) =>
    [
      mutation.padEnd(36),
      area.padEnd(10),
      (rule === undefined ? `NOT in ${seeds}` : String(seeds)).padEnd(11),
      `${seconds.toFixed(1)} s`.padEnd(8),
      (unclean.length === 0 ? "clean" : `not clean: ${unclean.map(({ seed }) => seed).join()}`).padEnd(10),
      rule ?? "",
      message.slice(0, 100),
    ].join(" "),
  );
  const found = caught.filter(({ rule }) => rule !== undefined).length;
  const faults = caught.flatMap(({ mutation, unclean }) =>
    unclean.map(({ seed, message }) => `without ${mutation}, seed ${seed}: ${firstLine(message)}`),
  );
  return [
    ["mutation".padEnd(36), "area".padEnd(10), "seeds".padEnd(11), "time".padEnd(8), "control".padEnd(10), "rule"].join(
      " ",
    ),
    ...rows,
    ...faults,
    `${found} of ${caught.length} mutations are caught, each at a seed that is clean without it`,
  ].join("\n");
}
