/** Whose folders are used. Ownership can be given away by root only. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SpillFolder } from "./spill.js";
import { namedFolder, privateFolder } from "./user-folder.js";

let folder: string;
const made: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "volley-folders-test-"));
});
afterEach(() => {
  for (const path of [folder, ...made.splice(0)]) rmSync(path, { recursive: true, force: true });
});
const isRoot = process.getuid?.() === 0;
const stranger = 54_321;

test("a folder that others may write to, or that is a link, is not ours alone: a fresh one is", () => {
  const path = join(folder, "wanted");
  expect(privateFolder(path)).toBe(path);
  chmodSync(path, 0o777);
  symlinkSync(path, join(folder, "link"));
  for (const given of [path, join(folder, "link")]) {
    const other = privateFolder(given);
    made.push(other);
    expect(other).not.toBe(given);
    expect(statSync(other).mode & 0o777).toBe(0o700);
  }
});

test.runIf(isRoot)(
  "a folder of another user is not used for what is spilled: not by default, and not when it is named",
  () => {
    const path = join(folder, "theirs");
    mkdirSync(path);
    chownSync(path, stranger, stranger);
    const other = privateFolder(path);
    made.push(other);
    expect(other).not.toBe(path);
    expect(() => new SpillFolder(1_000_000, path)).toThrow(
      expect.objectContaining({
        code: "INVALID_ARGUMENT",
        message: expect.stringContaining(String(stranger)) as unknown,
      }),
    );
    expect(readdirSync(path)).toEqual([]);
  },
);

test("a named folder is made, and may be a volume that everybody may write to", () => {
  const path = join(folder, "a", "b");
  expect(namedFolder(path)).toBe(path);
  chmodSync(path, 0o777);
  const spill = new SpillFolder(1_000_000, path);
  expect(statSync(spill.path).mode & 0o777).toBe(0o700);
  spill.removeAll();
});
