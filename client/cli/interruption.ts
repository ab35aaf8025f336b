/** Ctrl-C: the first one asks the command to clean up and end, a second one ends the process on the spot. */
import { exitCodes, Interrupted } from "../../cluster/process/exit-codes.js";

export interface Interruption {
  readonly signal: AbortSignal;
  /** Rejects with {@link Interrupted} when it comes. */
  readonly promise: Promise<never>;
}

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Takes the process's signals over for the rest of its life: call once per command. */
export function interruption(onFirst: () => void = () => {}): Interruption {
  const controller = new AbortController();
  const promise = new Promise<never>((_, reject) => {
    controller.signal.addEventListener("abort", () => reject(new Interrupted("interrupted")));
  });
  promise.catch(() => {});
  for (const name of signals) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(exitCodes.interrupted);
      controller.abort(new Interrupted("interrupted"));
      onFirst();
    });
  }
  return { signal: controller.signal, promise };
}
