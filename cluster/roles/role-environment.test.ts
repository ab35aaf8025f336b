import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { roleEnvironment } from "./role-environment.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "volley-environment-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const url = "nats://worker:secret@127.0.0.1:4222";

test("credentials in a file are read, and the file is gone", async () => {
  const path = join(folder, "url");
  writeFileSync(path, `${url}\n`, { mode: 0o600 });
  const warned: string[] = [];
  expect(
    await roleEnvironment("worker", { VOLLEY_URL_FILE: path, VOLLEY_SLOTS: "2" }, (text) => warned.push(text)),
  ).toMatchObject({
    VOLLEY_URL: url,
    VOLLEY_SLOTS: "2",
  });
  expect([existsSync(path), warned]).toEqual([false, []]);
  await expect(roleEnvironment("worker", { VOLLEY_URL_FILE: path })).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringContaining(path) as unknown,
  });
});

test("credentials in the environment are taken, and a worker warns that tasks can read them, without saying them", async () => {
  const warned: string[] = [];
  const warn = (text: string): void => void warned.push(text);
  expect(await roleEnvironment("worker", { VOLLEY_URL: url }, warn)).toMatchObject({ VOLLEY_URL: url });
  await roleEnvironment("scheduler", { VOLLEY_URL: url }, warn);
  await roleEnvironment("worker", { VOLLEY_URL: "nats://127.0.0.1:4222" }, warn);
  expect(warned).toEqual([expect.stringContaining("VOLLEY_URL stands in the environment")]);
  expect(warned.join()).not.toContain("secret");
});
