/**
 * `npm run engines [-- --only 20,26] [--demo] [--tests proto,worker] [--update]`: the digest of every kernel over fixed
 * calls, in both forms, on several versions of Node, compared with kernels/fixtures/digests.json. --demo compares the
 * digest of the whole demo too. --tests runs the unit tests of those folders on each. --update writes the file by this
 * Node.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { exitWith } from "../usage.js";
import { nodeBinary, nodeVersions } from "./node-binaries.js";

type Digests = Readonly<Record<string, string>>;
interface Report {
  readonly node: string;
  readonly v8: string;
  readonly arch: string;
  readonly plain: Digests;
  readonly wasm: Digests;
}

const run = promisify(execFile);
const pathOf = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const tablePath = pathOf("../../../kernels/fixtures/digests.json");
const outputMax = 16 * 1024 * 1024;

async function digestsOn(binary: string): Promise<Report> {
  const { stdout } = await run(binary, [pathOf("./digests-child.js")], { maxBuffer: outputMax, timeout: 300_000 });
  return JSON.parse(stdout) as Report;
}

async function demoOn(binary: string): Promise<string> {
  const { stdout } = await run(binary, [pathOf("../../client/cli/volley.js"), "demo", "--json"], {
    maxBuffer: outputMax,
    timeout: 900_000,
  });
  const { digestSdk, digestGateway } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as {
    digestSdk: string;
    digestGateway: string;
  };
  return digestSdk === digestGateway ? digestSdk : `${digestSdk} by the SDK, ${digestGateway} by the gateway`;
}

/** The exit code of the unit tests of some folders, whose processes and threads are of that Node too. */
async function testsOn(binary: string, folders: readonly string[]): Promise<number> {
  const args = [pathOf("../../../node_modules/vitest/vitest.mjs"), "run", ...folders.map((folder) => `dist/${folder}`)];
  const [code] = (await once(
    spawn(binary, args, { cwd: pathOf("../../../"), stdio: ["ignore", "inherit", "inherit"] }),
    "exit",
  )) as [number | null];
  return code ?? 1;
}

/** Kernels whose digest is not that of the table, or differs between the two forms. */
function differing(report: Report, table: Digests): string[] {
  const names = new Set([...Object.keys(table), ...Object.keys(report.plain)]);
  return [...names].filter((name) => report.plain[name] !== table[name] || report.wasm[name] !== table[name]);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      demo: { type: "boolean", default: false },
      tests: { type: "string" },
      update: { type: "boolean", default: false },
    },
  });
  if (values.update) {
    const { plain } = await digestsOn(process.execPath);
    writeFileSync(tablePath, `${JSON.stringify(plain, null, 2)}\n`);
    console.log(`${tablePath}: ${Object.keys(plain).length} kernels, by Node ${process.versions.node}`);
  }
  const table = JSON.parse(readFileSync(tablePath, "utf8")) as Digests;
  const majors = values.only?.split(",");
  const versions = nodeVersions.filter((version) => majors?.includes(version.split(".")[0] as string) ?? true);
  if (versions.length === 0) {
    console.error(`--only ${values.only} names none of ${nodeVersions.join(", ")}; give majors, as in --only 20,26`);
    return 2;
  }
  let failures = 0;
  const demos = new Set<string>();
  for (const version of versions) {
    const binary = nodeBinary(version);
    const report = await digestsOn(binary);
    const wrong = differing(report, table);
    if (wrong.length > 0) failures++;
    const verdict =
      wrong.length === 0 ? `all ${Object.keys(table).length} kernels as pinned` : `differs: ${wrong.join(", ")}`;
    console.log(`node ${report.node} (v8 ${report.v8}, ${report.arch}): ${verdict}`);
    if (values.tests && (await testsOn(binary, values.tests.split(","))) !== 0) failures++;
    if (!values.demo) continue;
    const demo = await demoOn(binary);
    demos.add(demo);
    console.log(`  demo ${demo}`);
  }
  if (demos.size > 1) failures++;
  return failures === 0 ? 0 : 1;
}

await exitWith(main);
