/**
 * Says for a session that its process lives while the caller's own code keeps the event loop busy: a thread with a
 * connection of its own, so that nothing is given up because somebody computes. It is unreferenced and ends with the
 * process. An exit without `close` is told to the scheduler at once; a killed process's session ends after
 * limits.sessionTimeoutMs of silence.
 */
import { Worker } from "node:worker_threads";

/** Well below limits.sessionTimeoutMs, and seldom. */
const intervalMs = 5_000;
const byeTimeoutMs = 300;

export interface KeepAliveMessages {
  readonly subject: string;
  /** Sent every now and then. */
  readonly alive: Uint8Array;
  /** Sent when the process exits. */
  readonly bye: Uint8Array;
}

export interface KeepAliveData extends KeepAliveMessages {
  readonly url: string;
  readonly intervalMs: number;
  /** 1: the bye has been sent, or cannot be. */
  readonly said: Int32Array;
}

export interface KeptAlive {
  /** The session has been closed: nothing more is said. */
  stop(): void;
}

const open = new Set<{ sayBye(): void }>();
const onExit = (): void => {
  for (const one of open) one.sayBye();
};

export function keepAlive(url: string, messages: KeepAliveMessages, onError: (error: unknown) => void): KeptAlive {
  const said = new Int32Array(new SharedArrayBuffer(4));
  const data: KeepAliveData = { ...messages, url, intervalMs, said };
  const thread = new Worker(new URL("./keep-alive-thread.js", import.meta.url), {
    workerData: data,
    name: "volley-alive",
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
  });
  thread.unref();
  const entry = {
    sayBye(): void {
      thread.postMessage("bye");
      Atomics.wait(said, 0, 0, byeTimeoutMs);
    },
  };
  const forget = (): void => {
    open.delete(entry);
    if (open.size === 0) process.off("exit", onExit);
  };
  // Without it the session lives by the beats of the event loop, as long as that turns.
  thread.on("error", (error) => {
    forget();
    onError(error);
  });
  if (open.size === 0) process.on("exit", onExit);
  open.add(entry);
  return {
    stop() {
      forget();
      void thread.terminate();
    },
  };
}
