import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import os, { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { modelDurable } from "../../proto/durable/testing/model.js";
import type { BundleId } from "../../proto/ids.js";
import { userFolder } from "../store/user-folder.js";
import { BundleCache } from "./bundles.js";

const text = "export const one = () => 1;";
const id = createHash("sha256").update(text).digest("hex") as BundleId;
let root: string;
let folder: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "volley-bundles-test-"));
  folder = join(root, "bundles");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

async function storeWith(name: string, data: string) {
  const { bundles } = modelDurable();
  await bundles.put(name, Buffer.from(data));
  let reads = 0;
  return {
    store: {
      ...bundles,
      put: bundles.put.bind(bundles),
      has: bundles.has.bind(bundles),
      delete: bundles.delete.bind(bundles),
      get: (key: string) => {
        reads++;
        return bundles.get(key);
      },
    },
    reads: () => reads,
  };
}

test("a bundle is fetched once, by all who ask at once and by the next process", async () => {
  const { store, reads } = await storeWith(id, text);
  const cache = new BundleCache(store, folder);
  const [a, b] = await Promise.all([cache.url(id), cache.url(id)]);
  expect(a).toBe(b);
  expect(readFileSync(fileURLToPath(a), "utf8")).toBe(text);
  expect(await new BundleCache(store, folder).url(id)).toBe(a);
  expect(reads()).toBe(1);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
});

test("a bundle that is there is had at once; one that was cleaned away is fetched anew", async () => {
  const { store, reads } = await storeWith(id, text);
  const cache = new BundleCache(store, folder);
  expect(cache.urlNow(id)).toBeUndefined();
  const url = await cache.url(id);
  expect(cache.urlNow(id)).toBe(url);
  rmSync(fileURLToPath(url));
  expect(cache.urlNow(id)).toBeUndefined();
  expect(await cache.url(id)).toBe(url);
  expect(cache.urlNow(id)).toBe(url);
  expect(reads()).toBe(2);
});

test("a cached file that was changed is not used", async () => {
  const { store, reads } = await storeWith(id, text);
  mkdirSync(folder, { mode: 0o700 });
  writeFileSync(join(folder, `${id}.mjs`), "export const one = () => 2;");
  expect(readFileSync(fileURLToPath(await new BundleCache(store, folder).url(id)), "utf8")).toBe(text);
  expect(reads()).toBe(1);
});

test("what the store gives is checked against its name", async () => {
  const { store } = await storeWith(id, "something else");
  await expect(new BundleCache(store, folder).url(id)).rejects.toMatchObject({ code: "CORRUPT" });
});

test("a missing bundle is BUNDLE_NOT_FOUND, and found once it has been deployed", async () => {
  const { bundles } = modelDurable();
  const cache = new BundleCache(bundles, folder);
  await expect(cache.url(id)).rejects.toMatchObject({ code: "BUNDLE_NOT_FOUND", message: expect.stringContaining(id) });
  await bundles.put(id, Buffer.from(text));
  expect(await cache.url(id)).toContain(id);
});

test("a folder that others may write is left alone", async () => {
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  const { store } = await storeWith(id, text);
  const url = await new BundleCache(store, folder).url(id);
  expect(url).not.toContain(folder);
  rmSync(join(fileURLToPath(url), ".."), { recursive: true });
});

test("a file that was taken away is fetched again, its folder with it; so is one that was cut", async () => {
  const { store, reads } = await storeWith(id, text);
  const cache = new BundleCache(store, folder);
  const file = fileURLToPath(await cache.url(id));
  rmSync(file);
  expect(readFileSync(fileURLToPath(await cache.url(id)), "utf8")).toBe(text);
  rmSync(folder, { recursive: true });
  expect(readFileSync(fileURLToPath(await cache.url(id)), "utf8")).toBe(text);
  writeFileSync(file, text.slice(0, 5));
  const urls = await Promise.all([cache.url(id), cache.url(id)]);
  expect(urls.map((url) => readFileSync(fileURLToPath(url), "utf8"))).toEqual([text, text]);
  expect(reads()).toBe(4);
});

test("a uid without an entry in the user database has its folder all the same", async () => {
  const { store } = await storeWith(id, text);
  const found = userFolder("volley-bundles-test");
  expect(found).toBe(join(tmpdir(), `volley-bundles-test-${process.getuid?.()}`));
  // Nothing may ask that database: it throws there.
  vi.spyOn(os, "userInfo").mockImplementation(() => {
    throw new Error("uv_os_get_passwd returned ENOENT");
  });
  syncBuiltinESMExports();
  try {
    expect(await new BundleCache(store).url(id)).toMatch(/^file:/);
  } finally {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  }
});
