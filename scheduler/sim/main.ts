/** `npm run sim -- --seeds N`, `--seed S` with the story, `--json`, `--plant NAME`. Exit 1 on any violation. */
import { parseArgs } from "node:util";
import { plants } from "./plant.js";
import { type Outcome, simulate } from "./simulation.js";

const help = `volley simulation: scheduler core, worker core and model clients on a virtual clock, from a seed

  --seeds N      run seeds 1 to N (default 100)
  --from S       first seed of the run (default 1)
  --seed S       run one seed and print its story
  --lines N      lines of the story to keep (default 400)
  --plant NAME   with a planted bug: ${Object.keys(plants).join(", ")}
  --json         one JSON object on the last line
`;

interface Summary {
  seeds: number;
  steps: number;
  executions: number;
  resultsChecked: number;
  virtualSeconds: number;
  seconds: number;
  faults: Record<string, number>;
  violations: { seed: number; rule: string; message: string }[];
}

function add(summary: Summary, { seed, counts, network, virtualMs, violation }: Outcome): void {
  summary.seeds++;
  summary.steps += counts.steps;
  summary.executions += counts.executions;
  summary.resultsChecked += counts.resultsChecked;
  summary.virtualSeconds += virtualMs / 1000;
  const { workerCrashes, schedulerCrashes, schedulerUsurpations, drains, partitions } = counts;
  const { lost, duplicated, reordered } = network;
  for (const [name, count] of Object.entries({
    workerCrashes,
    schedulerCrashes,
    schedulerUsurpations,
    drains,
    partitions,
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
  if (!Number.isInteger(value) || value < 0) throw new Error(`--${name} is ${JSON.stringify(text)}; expected a whole number`);
  return value;
}

function main(): number {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "100" },
      from: { type: "string", default: "1" },
      seed: { type: "string" },
      lines: { type: "string", default: "400" },
      plant: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return 0;
  }
  if (values.seed !== undefined) {
    const outcome = simulate({ seed: whole(values.seed, "seed"), plant: values.plant, storyKept: whole(values.lines, "lines") });
    for (const line of outcome.story) console.log(line);
    const { violation, storyHash } = outcome;
    if (values.json)
      console.log(
        JSON.stringify({
          seed: outcome.seed,
          storyHash,
          violation: violation ?? null,
          virtualMs: outcome.virtualMs,
          counts: { ...outcome.counts, metrics: Object.fromEntries(outcome.counts.metrics) },
        }),
      );
    else console.log(`seed ${outcome.seed}: ${violation ? `VIOLATION ${violation.message}` : "0 violations"}, story ${storyHash}`);
    return violation ? 1 : 0;
  }
  return runMany(whole(values.seeds, "seeds"), whole(values.from, "from"), values.plant, values.json);
}

function runMany(seeds: number, from: number, plant: string | undefined, json: boolean): number {
  const startedMs = performance.now();
  const summary: Summary = { seeds: 0, steps: 0, executions: 0, resultsChecked: 0, virtualSeconds: 0, seconds: 0, faults: {}, violations: [] };
  for (let seed = from; seed < from + seeds; seed++) {
    const outcome = simulate({ seed, plant, storyKept: 1 });
    add(summary, outcome);
    if (outcome.violation) console.log(`seed ${seed}: VIOLATION ${outcome.violation.message}`);
    else if (summary.seeds % 25 === 0) console.log(`${summary.seeds} of ${seeds} seeds, ${summary.violations.length} violations`);
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
  process.exitCode = main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
