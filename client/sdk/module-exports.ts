/**
 * What a CommonJS module exports can be known only by loading it: `module.exports` may be anything. It is loaded as a
 * worker would load it, in a thread of its own that ends with the answer.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { VolleyError } from "../../proto/errors.js";
import { Timer } from "../../proto/timer.js";

export interface ModuleExports {
  /** Keys of `module.exports`, as they are set when the module has been loaded. */
  readonly names: readonly string[];
  /** `module.exports` itself is a function. */
  readonly callable: boolean;
}

export type ModuleExportsAnswer = ModuleExports | { readonly fault: string };

const loadTimeoutMs = 30_000;

/** `code`: the module as an ES module whose default export is `module.exports`. Throws INVALID_ARGUMENT. */
export async function exportsOf(entry: string, code: Uint8Array): Promise<ModuleExports> {
  const folder = await mkdtemp(join(tmpdir(), "volley-exports-"));
  try {
    const file = join(folder, "module.mjs");
    await writeFile(file, code, { mode: 0o600 });
    const answer = await ask(pathToFileURL(file).href);
    if ("fault" in answer)
      throw new VolleyError("INVALID_ARGUMENT", `${entry} could not be loaded to see what it exports: ${answer.fault}`);
    return answer;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function ask(url: string): Promise<ModuleExportsAnswer> {
  const thread = new Worker(new URL("./module-exports-thread.js", import.meta.url), {
    workerData: url,
    stdout: true,
    stderr: true,
    execArgv: [],
  });
  let timer: Timer | undefined;
  try {
    return await new Promise<ModuleExportsAnswer>((resolve) => {
      thread.once("message", resolve);
      thread.once("error", (error) => resolve({ fault: String(error) }));
      thread.once("exit", (code) => resolve({ fault: `its thread ended with code ${code}` }));
      timer = new Timer(() => resolve({ fault: `it was not loaded within ${loadTimeoutMs} ms` }), loadTimeoutMs);
    });
  } finally {
    timer?.stop();
    await thread.terminate();
  }
}
