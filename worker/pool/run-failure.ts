/** Why a thread ended in the middle of a run, in the words of whoever wrote the function. */
import type { WireError } from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";

/** `timeoutMs`: it was killed for having run longer than that. */
export function causeOfDeath(error: unknown, timeoutMs: number | undefined, heapBytesMax: number): WireError {
  if (timeoutMs !== undefined) {
    const whose =
      timeoutMs === limits.taskTimeoutMsDefault
        ? " (the default of an hour; with({ timeoutMs }) sets another, up to 366 days)"
        : "";
    return {
      code: "TASK_TIMEOUT",
      message: `the task ran longer than its timeoutMs of ${timeoutMs}${whose}; its thread was ended`,
    };
  }
  const code = (error as { code?: unknown } | null)?.code;
  const message = error instanceof Error ? error.message : String(error);
  if (code === "ERR_WORKER_OUT_OF_MEMORY") {
    return {
      code: "TASK_OUT_OF_MEMORY",
      message: `the task exhausted the heap of its thread (${Math.ceil(heapBytesMax / 2 ** 20)} MiB; VOLLEY_THREAD_HEAP_BYTES)`,
    };
  }
  const exit = /exited with code: (-?\d+)/.exec(message);
  return {
    code: "TASK_EXITED",
    message: exit ? `the function ended its thread: exit code ${exit[1]}` : `the function's thread crashed: ${message}`,
  };
}
