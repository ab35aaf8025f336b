/** Code as people have it, on a real cluster: deployed by one process, executed by another. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import * as arrow from "apache-arrow";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as sdk from "../client/index.js";
import { type Cluster, connect } from "../client/index.js";
import { patienceMs } from "../proto/testing/patience.js";
import { volleyInTasks } from "../worker/pool/task-context.js";

let cluster: Cluster;
let folder: string;
beforeAll(async () => {
  cluster = await connect({ workers: 1 });
  folder = await mkdtemp(join(tmpdir(), "volley-code-"));
});
afterAll(async () => {
  await cluster?.close();
  await rm(folder, { recursive: true, force: true });
});

type Library = Record<string, { submit(...args: unknown[]): sdk.ObjectRef<unknown> }>;

async function call(name: string, source: string, ...args: unknown[]): Promise<unknown> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, source);
  const library = (await cluster.deploy<Record<string, never>>(path)) as unknown as Library;
  const ref = (library.f ?? library.default)?.submit(...args);
  if (!ref) throw new Error(`${name} exports ${Object.keys(library).join()}`);
  return cluster.get(ref, { timeoutMs: patienceMs });
}

test("CommonJS, files beside the source, and tables of a subpath run as they do at home", async () => {
  await writeFile(join(folder, "days.txt"), "2020-01-02");
  expect(await call("a.cjs", "module.exports = (x) => x + 1;", 2)).toBe(3);
  expect(
    await call("b.cjs", 'exports.f = () => require("node:fs").readFileSync(__dirname + "/days.txt", "utf8");'),
  ).toBe("2020-01-02");
  const made = await call(
    "c.mjs",
    'import { tableFromArrays } from "apache-arrow/table"; export const f = () => [tableFromArrays({ x: [1, 2] })];',
  );
  expect((made as arrow.Table[])[0]?.toArray().map(String)).toEqual(
    arrow
      .tableFromArrays({ x: [1, 2] })
      .toArray()
      .map(String),
  );
});

test("tables of another copy of apache-arrow are read by tasks, and a put of one gives it back", async () => {
  const other = createRequire(import.meta.url)("apache-arrow") as typeof arrow;
  expect(
    await call(
      "d.mjs",
      "export const f = (t) => t.getChild('x').get(1);",
      other.tableFromArrays({ x: Float64Array.of(1, 2) }),
    ),
  ).toBe(2);
  const ref = await cluster.put(other.tableFromArrays({ x: Float64Array.of(1, 2) }));
  expect(Object.getPrototypeOf(await cluster.get(ref))).toBe(arrow.Table.prototype);
});

test("connect inside a task says why not; tasks know every name of the package", async () => {
  await expect(
    call("e.mjs", 'import { connect } from "volley"; export const f = async () => (await connect()).url;'),
  ).rejects.toThrow(/connect\(\) was called inside a task/);
  expect(Object.keys(volleyInTasks).toSorted()).toEqual(Object.keys(sdk).toSorted());
});

test.runIf(process.platform === "linux")(
  "a task finds no credentials of the cluster in its process, its parents' or their files",
  async () => {
    const source = `import { readdirSync, readFileSync, readlinkSync } from "node:fs";
export const f = () => {
  const found = [];
  const look = (what, path) => { try { const text = readFileSync(path, "latin1"); if (/nats:\\/\\/[^\\s\\0]*:[^\\s\\0]*@|password/.test(text)) found.push(what); } catch {} };
  const parentOf = (pid) => Number(/^PPid:\\s*(\\d+)/m.exec(readFileSync("/proc/" + pid + "/status", "latin1"))?.[1]);
  let seen = 0;
  for (let pid = process.pid, i = 0; i < 3 && pid > 1; pid = parentOf(pid), i++) { for (const name of ["environ", "cmdline"]) look(pid + " " + name, "/proc/" + pid + "/" + name); seen++; }
  for (const fd of readdirSync("/proc/self/fd")) { try { const path = readlinkSync("/proc/self/fd/" + fd); if (path.startsWith("/") && !path.startsWith("/dev/")) look(path, path); } catch {} }
  for (const [name, value] of Object.entries(process.env)) if (/^VOLLEY_/.test(name) || /nats:/.test(value)) found.push(name);
  const folder = /VOLLEY_SPILL_FOLDER=([^\\0]*)/.exec(readFileSync("/proc/self/environ", "latin1"))?.[1];
  if (!folder) found.push("no folder to look into");
  else for (const name of readdirSync(folder + "/..", { recursive: true })) if (!/jetstream/.test(name)) look(name, folder + "/../" + name);
  return { found, seen };
};`;
    expect(await call("g.mjs", source)).toEqual({ found: [], seen: 3 });
  },
);
