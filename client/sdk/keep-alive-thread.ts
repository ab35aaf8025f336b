/**
 * The thread that says that a session's process lives, on a connection of its own (keep-alive.ts). It ends with the
 * process, whatever ends that.
 */
import { parentPort, workerData } from "node:worker_threads";
import { connectNats, type NatsTransport } from "../../proto/transport/nats.js";
import type { KeepAliveData } from "./keep-alive.js";

const { url, subject, alive, bye, intervalMs, said } = workerData as KeepAliveData;
/** Between tries to connect, when the server is away at the start; later the connection comes back by itself. */
const retryMs = 5_000;
const byeTimeoutMs = 200;

let transport: NatsTransport | undefined;

function say(data: Uint8Array): void {
  try {
    transport?.publish(subject, data);
  } catch {
    // Disconnected: the next one says it.
  }
}

async function connect(): Promise<void> {
  try {
    transport = await connectNats({
      url,
      name: "volley-sdk-alive",
      connectTimeoutMs: retryMs,
      onError: () => undefined,
    });
    say(alive);
  } catch {
    setTimeout(() => void connect(), retryMs);
  }
}

setInterval(() => say(alive), Math.min(intervalMs, 60_000));
void connect();

/** The process exits, and waits for this thread. */
parentPort?.on("message", () => {
  const done = (): void => {
    Atomics.store(said, 0, 1);
    Atomics.notify(said, 0);
  };
  if (transport?.status !== "connected") {
    done();
    return;
  }
  say(bye);
  setTimeout(done, byeTimeoutMs);
  transport.flush().then(done, done);
});
