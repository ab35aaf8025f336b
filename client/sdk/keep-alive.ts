/**
 * Says for a session that its process lives while the caller's own code keeps the event loop busy: a thread with a
 * connection of its own, so that nothing is given up because somebody computes. It is unreferenced and ends with the
 * process. An exit without `close` is told to the scheduler at once; a killed process's session ends after
 * limits.sessionTimeoutMs of silence.
 */
import { Worker } from "node:worker_threads";

/** Well below limits.sessionTimeoutMs, and seldom. */
const intervalMs = 5_000;
const deregisterTimeoutMs = 300;

export interface KeepAliveMessages {
  readonly subject: string;
  /** Sent every now and then. */
  readonly alive: Uint8Array;
  /** Sent when the process exits. */
  readonly deregister: Uint8Array;
}

export interface KeepAliveData extends KeepAliveMessages {
  readonly url: string;
  readonly intervalMs: number;
  /** 1: the deregistration has been sent, or cannot be. */
  readonly sent: Int32Array;
}

export interface KeepAliveHandle {
  /** The session has been closed: nothing more is said. */
  stop(): void;
}

const open = new Set<{ deregister(): void }>();
const onExit = (): void => {
  for (const one of open) one.deregister();
};

export function keepAlive(
  url: string,
  messages: KeepAliveMessages,
  onError: (error: unknown) => void,
): KeepAliveHandle {
  const sent = new Int32Array(new SharedArrayBuffer(4));
  const data: KeepAliveData = { ...messages, url, intervalMs, sent };
  const thread = new Worker(new URL("./keep-alive-thread.js", import.meta.url), {
    workerData: data,
    name: "volley-alive",
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
  });
  thread.unref();
  const entry = {
    deregister(): void {
      thread.postMessage("deregister");
      Atomics.wait(sent, 0, 0, deregisterTimeoutMs);
    },
  };
  const forget = (): void => {
    open.delete(entry);
    if (open.size === 0) process.off("exit", onExit);
  };
  // Without it the session lives by the heartbeats of the event loop, as long as that turns.
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
