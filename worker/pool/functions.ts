/** In the thread: from a function's name to the function. Modules stay loaded for the life of the thread. */
import { accessSync, constants, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { engineOf } from "../../kernels/features/engine.js";
import { requireKernel } from "../../kernels/registry.js";
import { isVolleyError, VolleyError } from "../../proto/errors.js";
import type { ThreadFunction } from "./run-message.js";

export type UserFunction = (...args: unknown[]) => unknown;

const loaded = new Map<string, UserFunction>();

/** Modules cannot be unloaded; a thread with more than these makes room by ending. */
const bundlesMax = 64;
const bundles = new Set<string>();
let bundleBytes = 0;

/** Their text is a fraction of what they become. */
const heapShare = 1 / 16;

/** Whether the modules loaded so far take too much of the thread. */
export const modulesOutgrown = (heapBytes: number): boolean =>
  bundles.size > bundlesMax || (bundles.size > 1 && bundleBytes > heapBytes * heapShare);

const keyOf = (fn: ThreadFunction): string =>
  "kernel" in fn ? `kernel:${fn.kernel}@${fn.version}` : `${fn.bundle}:${fn.export}`;

/** The function if it has been loaded before, without waiting. */
export const loadedFunction = (fn: ThreadFunction): UserFunction | undefined => loaded.get(keyOf(fn));

/**
 * Throws FUNCTION_NOT_FOUND that names what there is; TASK_FAILED with the user's stack if the module itself throws.
 */
export async function loadFunction(fn: ThreadFunction): Promise<UserFunction> {
  const run =
    "kernel" in fn ? kernel(fn.kernel, fn.version) : exported(await load(fn.url, fn.bundle), fn.export, fn.bundle);
  loaded.set(keyOf(fn), run);
  return run;
}

function kernel(name: string, version: number): UserFunction {
  const found = requireKernel(name, version);
  return (...args) => {
    // The result of the task before is encoded by now.
    engineOf()?.renew?.();
    return (found.run as UserFunction)(...args);
  };
}

async function load(url: string, bundle: string): Promise<Record<string, unknown>> {
  try {
    const module = (await import(url)) as Record<string, unknown>;
    if (!bundles.has(bundle)) {
      const { size } = statSync(fileURLToPath(url));
      bundles.add(bundle);
      bundleBytes += size;
    }
    return module;
  } catch (error) {
    if (isVolleyError(error)) throw error;
    // The cluster's fault, not the code's: the lease comes back, and the file is fetched again before the next one
    // runs.
    if (!isReadable(fileURLToPath(url)))
      throw new VolleyError(
        "BUNDLE_NOT_FOUND",
        `the file of the bundle ${bundle.slice(0, 12)} has vanished from this worker: ${String(error)}`,
      );
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    throw new VolleyError("TASK_FAILED", `the bundle ${bundle.slice(0, 12)} could not be loaded: ${text}`, {
      remoteStack: error instanceof Error ? error.stack?.slice(0, 8192) : undefined,
    });
  }
}

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** An export is a function, or an object with a function `run`. */
function exported(module: Record<string, unknown>, name: string, bundle: string): UserFunction {
  const found = Object.hasOwn(module, name) ? module[name] : undefined;
  if (typeof found === "function") return found as UserFunction;
  if (typeof found === "object" && found !== null && "run" in found && typeof found.run === "function")
    return found.run.bind(found) as UserFunction;
  const names = Object.keys(module).filter((key) => typeof module[key] === "function");
  throw new VolleyError(
    "FUNCTION_NOT_FOUND",
    `the bundle ${bundle.slice(0, 12)} has no function ${JSON.stringify(name)}; it exports ${names.join(", ") || "no functions"}`,
  );
}
