/** What a program loads that does no more than `import "volley"`. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";

/** The files of ours that a program loads, from dist/ on, as V8 counts them. */
function loadedBy(program: string): string[] {
  const folder = mkdtempSync(path.join(tmpdir(), "volley-import-"));
  try {
    execFileSync(process.execPath, ["--input-type=module", "--eval", program], {
      env: { ...process.env, NODE_V8_COVERAGE: folder },
    });
    const urls = readdirSync(folder).flatMap((file) => {
      const { result } = JSON.parse(readFileSync(path.join(folder, file), "utf8")) as { result: { url: string }[] };
      return result.map(({ url }) => url);
    });
    return urls.flatMap((url) => /\/dist\/(.*)$/.exec(url)?.[1] ?? []).filter((file) => !file.includes("node_modules"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("the package loads the kernels' catalog, and no kernel", () => {
  const loaded = loadedBy('import "volley";');
  expect(loaded).toContain("client/sdk/connect.js");
  expect(loaded).toContain("kernels/catalog/catalog.js");
  expect(loaded.filter((file) => file.startsWith("kernels/") && !file.startsWith("kernels/catalog/"))).toEqual([]);
});

test("the kernels are loaded by who asks for them", () => {
  expect(loadedBy('import "volley/kernels";')).toContain("kernels/registry.js");
});
