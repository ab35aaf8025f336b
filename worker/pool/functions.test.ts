import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PoolRig } from "./testing/pool-rig.js";

let rig: PoolRig;
beforeAll(() => {
  rig = new PoolRig();
});
afterAll(() => rig.close());

test("a bundle's file that is not there is the cluster's fault; a module that the code asks for and that is not there is the code's", async () => {
  const file = join(rig.folder, "gone.mjs");
  const gone = pathToFileURL(file).href;
  const codes = async (url: string): Promise<string[]> =>
    [...(await rig.run(url, "same", 2, [{ a: "index" }])).errors.values()].map(({ code }) => code);
  expect(await codes(gone)).toEqual(["BUNDLE_NOT_FOUND", "BUNDLE_NOT_FOUND"]);
  // The same thread takes it once it is there.
  writeFileSync(file, "export const same = (i) => i;");
  expect((await rig.run(gone, "same", 2, [{ a: "index" }])).values).toEqual([0, 1]);
  expect(await codes(rig.module('import "./no-such-module.mjs"; export const same = (i) => i;'))).toEqual([
    "TASK_FAILED",
    "TASK_FAILED",
  ]);
});
