/**
 * `npm run sim -- --seeds N`, `--seed S` with the story, `--json`, `--mutation NAME`, `--mutations`. Exit 1 on any
 * violation, or any mutation that is not caught.
 */
import { parseArgs } from "node:util";
import { huntAll, tableOf, type Violated, withMutation } from "./mutation-hunt.js";
import { mutations } from "./mutations.js";
import { replayHelp, runReplay } from "./replay.js";
import { type Outcome, type SimulationOptions, simulate } from "./simulation.js";

const help = `volley simulation: scheduler, workers and clients, as they are, on a virtual clock, from a seed

  --seeds N      run seeds 1 to N (default 100)
  --from S       first seed of the run (default 1)
  --seed S       run one seed and print its story
  --lines N      lines of the story to keep (default 400)
  --mutation NAME   with a mutation, until it is caught: ${Object.keys(mutations).join(", ")}
  --mutations       every mutation until it is caught, within --seeds (default 300), two at a time; exit 1 if one is not
                 (a seed that is not clean without the bug, under the same misfortunes, does not count)
  --json         one JSON object on the last line
${replayHelp}`;

interface Summary {
  seeds: number;
  steps: number;
  executions: number;
  resultsChecked: number;
  virtualSeconds: number;
  seconds: number;
  faults: Record<string, number>;
  violations: Violated[];
  /** With a mutation: what seeds show without it, which for that reason do not count. */
  unclean: Violated[];
}

function add(summary: Summary, { seed, counts, network, virtualMs, violation }: Outcome): void {
  summary.seeds++;
  summary.steps += counts.steps;
  summary.executions += counts.executions;
  summary.resultsChecked += counts.resultsChecked;
  summary.virtualSeconds += virtualMs / 1000;
  const { workerCrashes, schedulerCrashes, schedulerTakeovers, drains, partitions, pauses, outages, clientCrashes } =
    counts;
  const { lost, duplicated, reordered } = network;
  for (const [name, count] of Object.entries({
    workerCrashes,
    schedulerCrashes,
    schedulerTakeovers,
    drains,
    partitions,
    pauses,
    outages,
    clientCrashes,
    messagesLost: lost,
    messagesDuplicated: duplicated,
    messagesReordered: reordered,
  })) {
    summary.faults[name] = (summary.faults[name] ?? 0) + count;
  }
  if (violation) summary.violations.push({ seed, ...violation });
}

function whole(text: string, name: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0)
    throw new Error(`--${name} is ${JSON.stringify(text)}; expected a whole number`);
  return value;
}

type Run = (options: SimulationOptions) => Promise<Outcome>;

async function main(): Promise<number> {
  if (process.argv[2] === "replay") return runReplay(process.argv.slice(3), (line) => console.log(line));
  const { values } = parseArgs({
    options: {
      seeds: { type: "string" },
      from: { type: "string", default: "1" },
      seed: { type: "string" },
      lines: { type: "string", default: "400" },
      mutation: { type: "string" },
      mutations: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return 0;
  }
  if (values.mutations) {
    const catches = await huntAll(whole(values.seeds ?? "300", "seeds"));
    console.log(values.json ? JSON.stringify(catches) : tableOf(catches));
    return catches.every(({ rule }) => rule !== undefined) ? 0 : 1;
  }
  const lines = whole(values.lines, "lines");
  const { seed } = values;
  const seeds = whole(values.seeds ?? "100", "seeds");
  const from = whole(values.from, "from");
  const go = (run: Run, control?: Run): Promise<number> =>
    seed === undefined
      ? runMany(run, seeds, from, values.json, control)
      : runOne(run, whole(seed, "seed"), lines, values.json);
  return values.mutation === undefined ? go(simulate) : withMutation(values.mutation, go);
}

async function runOne(run: Run, seed: number, storyKept: number, json: boolean): Promise<number> {
  const outcome = await run({ seed, storyKept });
  for (const line of outcome.story) console.log(line);
  const { violation, storyHash, virtualMs, counts } = outcome;
  if (json)
    console.log(
      JSON.stringify({
        seed,
        storyHash,
        violation: violation ?? null,
        virtualMs,
        counts: { ...counts, metrics: Object.fromEntries(counts.metrics) },
      }),
    );
  else
    console.log(`seed ${seed}: ${violation ? `VIOLATION ${violation.message}` : "0 violations"}, story ${storyHash}`);
  return violation ? 1 : 0;
}

/** `control`: the same without a mutation; the first violation that it does not show ends it. */
async function runMany(run: Run, seeds: number, from: number, json: boolean, control?: Run): Promise<number> {
  const startedMs = performance.now();
  const summary: Summary = {
    seeds: 0,
    steps: 0,
    executions: 0,
    resultsChecked: 0,
    virtualSeconds: 0,
    seconds: 0,
    faults: {},
    violations: [],
    unclean: [],
  };
  for (let seed = from; seed < from + seeds; seed++) {
    const outcome = await run({ seed, storyKept: 1 });
    const { violation } = (outcome.violation && (await control?.({ seed, storyKept: 1 }))) ?? {};
    if (violation) summary.unclean.push({ seed, ...violation });
    add(summary, violation ? { ...outcome, violation: undefined } : outcome);
    if (violation) console.log(`seed ${seed}: not clean without the bug: ${violation.message}`);
    else if (outcome.violation) console.log(`seed ${seed}: VIOLATION ${outcome.violation.message}`);
    else if (summary.seeds % 25 === 0)
      console.log(`${summary.seeds} of ${seeds} seeds, ${summary.violations.length} violations`);
    if (summary.violations.length > 0 && control) break;
  }
  summary.seconds = Math.round(performance.now() - startedMs) / 1000;
  summary.virtualSeconds = Math.round(summary.virtualSeconds);
  const faults = Object.entries(summary.faults).map(([name, count]) => `${name} ${count}`);
  console.log(
    `${summary.seeds} seeds, ${summary.steps} steps, ${summary.executions} executions, ${summary.resultsChecked} results checked, ${summary.virtualSeconds} virtual seconds in ${summary.seconds} s`,
  );
  console.log(`faults: ${faults.join(", ")}`);
  console.log(`${summary.violations.length} violations`);
  if (json) console.log(JSON.stringify(summary));
  return summary.violations.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
