/** The backend on NATS. */
import type { ClientStores } from "../../proto/durable/durable.js";
import { openStores } from "../../proto/durable/nats.js";
import { connectNats } from "../../proto/transport/nats.js";
import type { Backend } from "./backend.js";
import { keepAlive } from "./keep-alive.js";

export interface NatsBackendOptions {
  readonly url: string;
  readonly name: string;
  readonly connectTimeoutMs: number;
  onError(error: unknown): void;
}

/** Rejects with NATS_UNAVAILABLE when the server cannot be reached in time. */
export async function natsBackend(options: NatsBackendOptions): Promise<Backend> {
  const { url, connectTimeoutMs } = options;
  const onError = (error: unknown): void => options.onError(error);
  const control = await connectNats({ url, name: options.name, connectTimeoutMs, onError });
  const opened: { close(): Promise<void> }[] = [control];
  const second = async (name: string, reuseMemory = false) => {
    const transport = await connectNats({
      url,
      name: `${options.name}-${name}`,
      connectTimeoutMs,
      reuseMemory,
      onError,
    });
    opened.push(transport);
    return transport;
  };
  let frames: ReturnType<typeof second> | undefined;
  let durable: Promise<ClientStores> | undefined;
  const retryable = <T>(promise: Promise<T>, reset: () => void): Promise<T> => {
    promise.catch(reset);
    return promise;
  };
  return {
    url,
    control,
    frames: () =>
      (frames ??= retryable(second("frames", true), () => {
        frames = undefined;
      })),
    durable: () =>
      (durable ??= retryable(
        second("durable").then((transport) => openStores(transport)),
        () => {
          durable = undefined;
        },
      )),
    keepAlive: (messages) => keepAlive(url, messages, onError),
    async close() {
      await Promise.all(opened.map((transport) => transport.close()));
    },
  };
}
