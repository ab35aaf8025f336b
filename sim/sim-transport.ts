/**
 * One connection of one process to the model of the broker: what the product's shells take for NATS (T1–T7). Whoever is
 * cut off notices late, or never when it is short; what he says meanwhile is lost.
 */
import { isVolleyError } from "../proto/errors.js";
import type { Runtime } from "../proto/runtime.js";
import { checkPayload, closed, disconnected, joined, noListener } from "../proto/transport/faults.js";
import { PendingRequests } from "../proto/transport/pending-requests.js";
import type { Message, Subscription, Transport, TransportStatus } from "../proto/transport/transport.js";
import type { Network } from "./network.js";
import type { Process } from "./process.js";

const noticedMsMax = 3_000;
const reconnectMs = 20;
/** On a connection for frames: so little that an object of a few KiB takes several. */
export const frameTransportBytes = 2_048;

export class SimTransport implements Transport {
  readonly payloadBytesMax: number;
  readonly #network: Network;
  readonly #process: Process;
  readonly #pending: PendingRequests;
  readonly #listeners = new Set<(status: TransportStatus) => void>();
  readonly #subscriptions = new Set<() => void>();
  readonly #flushes = new Set<(error: Error) => void>();
  #status: TransportStatus = "connected";

  constructor(network: Network, process: Process, runtime: Runtime, payloadBytesMax = 1024 * 1024) {
    this.payloadBytesMax = payloadBytesMax;
    this.#network = network;
    this.#process = process;
    this.#pending = new PendingRequests(runtime);
    network.watch(process.address, () => this.#reconsider());
    if (network.isCut(process.address)) this.#status = "disconnected";
  }

  get status(): TransportStatus {
    return this.#status;
  }

  /** The way is interrupted, or free: this side finds out. */
  #reconsider(): void {
    const { clock, random } = this.#network;
    const cut = this.#network.isCut(this.#process.address);
    if (this.#status !== (cut ? "connected" : "disconnected")) return;
    const lateMs = cut
      ? random.chance(0.5)
        ? random.delay(5)
        : noticedMsMax * random.unit()
      : random.delay(reconnectMs);
    clock.after(lateMs, () => {
      if (this.#network.isCut(this.#process.address) !== cut) return;
      this.#process.receive(() => this.#become(cut ? "disconnected" : "connected"));
    });
  }

  #become(status: TransportStatus): void {
    if (this.#status === status || this.#status === "closed") return;
    this.#status = status;
    if (status !== "connected") {
      const why = status === "closed" ? closed : disconnected;
      for (const fail of [...this.#flushes]) fail(why("flush"));
      this.#pending.failAll(why);
    }
    for (const listener of [...this.#listeners]) listener(status);
    // What has come to pass while it was being told.
    this.#reconsider();
  }

  publish(subject: string, data: Uint8Array): void {
    checkPayload(subject, data.byteLength, this.payloadBytesMax);
    if (this.#status === "connected" && !this.#process.dead)
      this.#network.send(this.#process.address, subject, data.slice());
  }

  publishParts(subject: string, head: Uint8Array, body: Uint8Array): void {
    this.publish(subject, joined(head, body));
  }

  async request(subject: string, data: Uint8Array, options: { timeoutMs: number }): Promise<Uint8Array> {
    checkPayload(subject, data.byteLength, this.payloadBytesMax);
    if (this.#status === "closed") throw closed(`request to ${subject}`);
    if (this.#status === "disconnected") throw disconnected(`request to ${subject}`);
    return this.#pending.add(subject, options.timeoutMs, (token) =>
      this.#network.send(this.#process.address, subject, data.slice(), {
        answer: (answer) => this.#pending.answer(token, answer),
        unheard: () => this.#pending.fail(token, noListener(subject)),
      }),
    );
  }

  subscribe(subject: string, handler: (message: Message) => void): Subscription {
    if (this.#status === "closed") throw closed(`subscribe to ${subject}`);
    const unsubscribe = this.#network.subscribe(subject, this.#process.address, ({ data, respond }) => {
      // Until it has found its way back, the broker knows nothing of it.
      if (this.#status !== "connected" || this.#process.dead) return;
      handler({
        subject,
        data,
        wantsReply: respond !== undefined,
        respond: (answer) => {
          checkPayload(`the asker on ${subject}`, answer.byteLength, this.payloadBytesMax);
          if (this.#status === "connected" && !this.#process.dead) respond?.(answer);
        },
      });
    });
    this.#subscriptions.add(unsubscribe);
    return {
      unsubscribe: () => {
        this.#subscriptions.delete(unsubscribe);
        unsubscribe();
      },
    };
  }

  onStatus(listener: (status: TransportStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  flush(): Promise<void> {
    if (this.#status === "closed") return Promise.reject(closed("flush"));
    if (this.#status === "disconnected") return Promise.reject(disconnected("flush"));
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => {
        this.#flushes.delete(fail);
        reject(error);
      };
      this.#flushes.add(fail);
      this.#network.roundTrip(this.#process.address, (interrupted) => {
        if (!this.#flushes.delete(fail)) return;
        if (interrupted) reject(disconnected("flush"));
        else resolve();
      });
    });
  }

  async close(): Promise<void> {
    for (const unsubscribe of this.#subscriptions) unsubscribe();
    this.#subscriptions.clear();
    this.#become("closed");
  }
}

/** What the network did, or will do, to whoever could not be reached: not a fault of the product's. */
export const isOfTheNetwork = (error: unknown): boolean =>
  isVolleyError(error) && ["DISCONNECTED", "CLOSED", "TIMEOUT", "NO_LISTENER", "OUT_OF_MEMORY"].includes(error.code);
