import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bundleModule } from "./deploy.js";
import { StackTraces } from "./stack-traces.js";

test("frames in a deployed bundle are those of its sources, frames below it are left out, other stacks stay as they are", async () => {
  const folder = await mkdtemp(join(tmpdir(), "volley-stack-"));
  try {
    const path = join(folder, "tasks.ts");
    await writeFile(
      path,
      "// A comment, which moves lines.\ninterface X { x: number }\nexport function broken(x: X): never {\n  throw new Error(String(x.x));\n}\n",
    );
    const bundle = await bundleModule(path);
    const lines = Buffer.from(bundle.code).toString().split("\n");
    const row = lines.findIndex((line) => line.includes("throw new Error"));
    const column = (lines[row] as string).indexOf("new Error") + 1;
    const stack = `Error: x is 1\n    at Execution.broken (file:///cache/${bundle.id}.mjs:${row + 1}:${column})\n    at file:///cache/${bundle.id}.mjs:${row + 1}:${column}\n    at run (file:///app/worker/pool/thread.js:1:2)`;
    const traces = new StackTraces();
    expect(traces.rewrite(stack)).toContain(`${bundle.id}.mjs`);
    traces.add(bundle);
    expect(traces.rewrite(stack)).toBe(`Error: x is 1\n    at broken (${path}:4:9)\n    at ${path}:4:9`);
    expect(traces.rewrite("Error: y\n    at kernel (file:///app/worker/kernels/x.js:1:2)")).toBe(
      "Error: y\n    at kernel (file:///app/worker/kernels/x.js:1:2)",
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
