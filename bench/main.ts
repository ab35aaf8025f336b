/**
 * `npm run bench -- NAME [--json] [--repeats N]`: one suite of measurements. With --json, one JSON object per measure
 * and nothing else on stdout.
 */
import { parseArgs } from "node:util";
import { demoSuite } from "./demo/suite.js";
import { kernelsSuite } from "./kernels/suite.js";
import { memorySuite } from "./memory/suite.js";
import { objectsSuite } from "./objects/suite.js";
import { type Suite, tableOf } from "./report.js";
import { slotsSuite } from "./slots/suite.js";
import { tasksSuite } from "./tasks/suite.js";
import { exitWith } from "./usage.js";

const suites: Readonly<Record<string, Suite>> = {
  tasks: tasksSuite,
  slots: slotsSuite,
  demo: demoSuite,
  objects: objectsSuite,
  memory: memorySuite,
  kernels: kernelsSuite,
};

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: "boolean", default: false }, repeats: { type: "string", default: "5" } },
  });
  const suite = suites[positionals[0] ?? ""];
  const repeats = Number(values.repeats);
  if (!suite || positionals.length !== 1 || !Number.isInteger(repeats) || repeats < 1) {
    console.error("usage: npm run bench -- NAME [--json] [--repeats N]\n");
    for (const [name, { doc }] of Object.entries(suites)) console.error(`  ${name}  ${doc}`);
    return 2;
  }
  const measures = await suite.run({ repeats, log: (line) => console.error(line) });
  if (values.json) for (const measure of measures) console.log(JSON.stringify(measure));
  else console.log(tableOf(measures));
  return 0;
}

await exitWith(main);
