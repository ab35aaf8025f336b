/** `volley nats install`: provisions nats-server now, so that the first `volley up` does not have to. */
import { resolveNatsServer } from "../../cluster/local/resolve-nats.js";
import { interruption } from "./interruption.js";
import type { Output } from "./output.js";

export async function natsInstall(output: Output): Promise<void> {
  const interrupted = interruption();
  const found = await Promise.race([
    resolveNatsServer({ onProgress: output.note, signal: interrupted.signal }),
    interrupted.promise,
  ]);
  output.result(found, () => `nats-server ${found.version} at ${found.path} (from ${found.source})`);
}
