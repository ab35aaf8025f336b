/** The entry of the thread that loads a module to see what it exports. */
import { parentPort, workerData } from "node:worker_threads";
import * as arrow from "apache-arrow";
import * as volley from "./index.js";
import type { ModuleExportsAnswer } from "./module-exports.js";
import { sharedModulesKey } from "./task-context.js";

Object.defineProperty(globalThis, Symbol.for(sharedModulesKey), {
  value: { "apache-arrow": arrow, part: (path: string) => import(path), volley },
});

async function answer(url: string): Promise<ModuleExportsAnswer> {
  try {
    const { default: exported } = (await import(url)) as { default: unknown };
    const names =
      (typeof exported === "object" && exported !== null) || typeof exported === "function"
        ? Object.keys(exported)
        : [];
    return { names, callable: typeof exported === "function" };
  } catch (error) {
    return { fault: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }
}

parentPort?.postMessage(await answer(workerData as string));
