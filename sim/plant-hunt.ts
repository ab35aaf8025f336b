/**
 * Which planted bugs the simulation catches, by which rule, and after how many seeds: each in a process of its own, two
 * at a time. What a seed shows counts as a catch only if the same seed is clean, under the same misfortunes, without
 * the plant: else it is a fault of the product, or of a judge, and is said to be one.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { withMutant } from "./mutant-tree.js";
import { mutants } from "./mutants.js";
import { type Outcome, type SimulationOptions, simulate } from "./simulation.js";

export interface Catch {
  readonly plant: string;
  readonly area: string;
  readonly doc: string;
  /** Seeds that were run, the one that caught it with them. */
  readonly seeds: number;
  readonly seconds: number;
  /** undefined: not caught. */
  readonly rule: string | undefined;
  readonly message: string;
  /** Seeds that are not clean without the plant, with what they show. */
  readonly unclean: readonly Violated[];
}

export interface Violated {
  readonly seed: number;
  readonly rule: string;
  readonly message: string;
}

type Run = (options: SimulationOptions) => Promise<Outcome>;

/** Runs `use` with a simulation in which this bug is planted, and one without it under the same misfortunes. */
export function withPlant<T>(name: string, use: (run: Run, control: Run) => Promise<T>): Promise<T> {
  const mutant = mutants[name];
  if (!mutant)
    throw new RangeError(
      `no planted bug is named ${JSON.stringify(name)}; there are: ${Object.keys(mutants).join(", ")}`,
    );
  const under =
    (run: Run): Run =>
    (options) =>
      run({ ...options, faults: { ...mutant.faults, ...options.faults } });
  return withMutant(mutant.edits, (run) => use(under(run), under(simulate)));
}

const processesMax = 2;

/** Every planted bug (or those named), each until it is caught or `seeds` seeds have been run. */
export async function huntAll(seeds: number, names?: readonly string[]): Promise<Catch[]> {
  const known = Object.entries(mutants).map(([plant, { doc, area }]) => ({ plant, area, doc }));
  const all = names ? known.filter(({ plant }) => names.includes(plant)) : known;
  const caught: Catch[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < all.length; at = next++) {
      const item = all[at] as (typeof all)[number];
      caught[at] = { ...item, ...(await hunt(item.plant, seeds)) };
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

function hunt(plant: string, seeds: number): Promise<Omit<Catch, "plant" | "area" | "doc">> {
  const main = fileURLToPath(new URL("main.js", import.meta.url));
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [main, "--plant", plant, "--seeds", String(seeds), "--json"],
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
  const rows = caught.map(({ plant, area, seeds, seconds, rule, message, unclean }) =>
    [
      plant.padEnd(36),
      area.padEnd(10),
      (rule === undefined ? `NOT in ${seeds}` : String(seeds)).padEnd(11),
      `${seconds.toFixed(1)} s`.padEnd(8),
      (unclean.length === 0 ? "clean" : `not clean: ${unclean.map(({ seed }) => seed).join()}`).padEnd(10),
      rule ?? "",
      message.slice(0, 100),
    ].join(" "),
  );
  const found = caught.filter(({ rule }) => rule !== undefined).length;
  const faults = caught.flatMap(({ plant, unclean }) =>
    unclean.map(({ seed, message }) => `without ${plant}, seed ${seed}: ${firstLine(message)}`),
  );
  return [
    ["plant".padEnd(36), "area".padEnd(10), "seeds".padEnd(11), "time".padEnd(8), "control".padEnd(10), "rule"].join(
      " ",
    ),
    ...rows,
    ...faults,
    `${found} of ${caught.length} planted bugs are caught, each at a seed that is clean without it`,
  ].join("\n");
}
