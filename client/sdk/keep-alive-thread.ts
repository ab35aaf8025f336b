/**
 * The thread that says that a session's process lives, on a connection of its own (keep-alive.ts). It ends with the
 * process, whatever ends that.
 */
import { parentPort, workerData } from "node:worker_threads";
import { connectNats, type NatsTransport } from "../../proto/transport/nats.js";
import type { KeepAliveData } from "./keep-alive.js";

const { url, subject, alive, deregister, intervalMs, sent } = workerData as KeepAliveData;
/** Between tries to connect, when the server is away at the start; later the connection comes back by itself. */
const retryMs = 5_000;
const deregisterTimeoutMs = 200;

let transport: NatsTransport | undefined;

function send(data: Uint8Array): void {
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
    send(alive);
  } catch {
    setTimeout(() => void connect(), retryMs);
  }
}

setInterval(() => send(alive), Math.min(intervalMs, 60_000));
void connect();

/** The process exits, and waits for this thread. */
parentPort?.on("message", () => {
  const done = (): void => {
    Atomics.store(sent, 0, 1);
    Atomics.notify(sent, 0);
  };
  if (transport?.status !== "connected") {
    done();
    return;
  }
  send(deregister);
  setTimeout(done, deregisterTimeoutMs);
  transport.flush().then(done, done);
});
