/**
 * A network in this process, with faults on demand. Delivery is asynchronous, in batches by setImmediate, and drops
 * what a real server would drop. Owns who is connected and what waits for delivery; the contract T1..T7 stands in
 * transport.ts.
 */
import { nextTurn, type Runtime, realRuntime } from "../../runtime.js";
import { checkPayload, closed, disconnected, joined, noListener, throwUnheard } from "../faults.js";
import { PendingRequests } from "../pending-requests.js";
import type { Message, SubscribeOptions, Subscription, Transport, TransportStatus } from "../transport.js";

export interface MemoryConnectOptions {
  onError?(error: unknown, where: string): void;
  /** Default: this process. */
  readonly runtime?: Runtime;
}

interface Subscriber {
  readonly subject: string;
  readonly handler: (message: Message) => void;
  readonly of: MemoryTransport;
  open: boolean;
}

/** Where the answer to a request goes. */
interface ReplyTo {
  readonly client: MemoryTransport;
  readonly token: string;
}

type Delivery =
  | { readonly to: Subscriber; readonly data: Uint8Array; readonly reply: ReplyTo | undefined }
  | { readonly token: string; readonly data: Uint8Array };

export class MemoryNetwork {
  readonly payloadBytesMax: number;
  readonly #subscribers = new Map<string, Set<Subscriber>>();
  readonly #clients = new Set<MemoryTransport>();
  #down = false;

  constructor(options: { payloadBytesMax?: number } = {}) {
    this.payloadBytesMax = options.payloadBytesMax ?? 1024 * 1024;
  }

  connect(name: string, options: MemoryConnectOptions = {}): MemoryTransport {
    const client = new MemoryTransport(this, name, options);
    this.#clients.add(client);
    return client;
  }

  /** The server dies (true) or is back (false): every client is told, and what was on its way is lost. */
  setDown(down: boolean): void {
    this.#down = down;
    for (const client of this.#clients) client.reconsider();
  }

  get down(): boolean {
    return this.#down;
  }

  /** @internal Number of connected subscribers that were sent the message. */
  route(subject: string, data: Uint8Array, reply: ReplyTo | undefined): number {
    let sent = 0;
    for (const to of this.#subscribers.get(subject) ?? []) {
      if (to.of.status !== "connected") continue;
      to.of.deliver({ to, data: data.slice(), reply });
      sent++;
    }
    return sent;
  }

  /** @internal */
  add(subscriber: Subscriber): void {
    const set = this.#subscribers.get(subscriber.subject) ?? new Set();
    this.#subscribers.set(subscriber.subject, set.add(subscriber));
  }

  /** @internal */
  remove(subscriber: Subscriber): void {
    const set = this.#subscribers.get(subscriber.subject);
    set?.delete(subscriber);
    if (set?.size === 0) this.#subscribers.delete(subscriber.subject);
  }

  /** @internal */
  forget(client: MemoryTransport): void {
    this.#clients.delete(client);
  }
}

export class MemoryTransport implements Transport {
  readonly name: string;
  readonly #network: MemoryNetwork;
  readonly #onError: (error: unknown, where: string) => void;
  readonly #listeners = new Set<(status: TransportStatus) => void>();
  readonly #subscribers = new Set<Subscriber>();
  readonly #runtime: Runtime;
  readonly #pending: PendingRequests;
  #inbox: Delivery[] = [];
  #scheduled = false;
  #paused = false;
  #cut = false;
  #status: TransportStatus = "connected";
  #closing: Promise<void> | undefined;

  /** @internal Use {@link MemoryNetwork.connect}. */
  constructor(network: MemoryNetwork, name: string, options: MemoryConnectOptions) {
    this.#network = network;
    this.name = name;
    this.#runtime = options.runtime ?? realRuntime;
    this.#pending = new PendingRequests(this.#runtime);
    this.#onError = options.onError?.bind(options) ?? throwUnheard;
    if (network.down) this.#status = "disconnected";
  }

  get payloadBytesMax(): number {
    return this.#network.payloadBytesMax;
  }

  get status(): TransportStatus {
    return this.#status;
  }

  // ---------------------------------------------------------------------------------------------- faults

  /** Cuts this client off (true) or lets it back (false). What was on its way to it is lost. */
  setDisconnected(cut: boolean): void {
    this.#cut = cut;
    this.reconsider();
  }

  /** A slow receiver: messages wait, in order, until `resume`. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  /** @internal Takes over the state of the network and of its own cut. */
  reconsider(): void {
    if (this.#status === "closed") return;
    const next = this.#cut || this.#network.down ? "disconnected" : "connected";
    if (next === this.#status) return;
    this.#setStatus(next);
    if (next === "disconnected") {
      this.#inbox = [];
      this.#pending.failAll(disconnected);
    }
  }

  // ---------------------------------------------------------------------------------------------- Transport

  publish(subject: string, data: Uint8Array): void {
    checkPayload(subject, data.byteLength, this.payloadBytesMax);
    if (this.#status === "connected") this.#network.route(subject, data, undefined);
  }

  publishParts(subject: string, head: Uint8Array, body: Uint8Array): void {
    this.publish(subject, joined(head, body));
  }

  async request(subject: string, data: Uint8Array, options: { timeoutMs: number }): Promise<Uint8Array> {
    checkPayload(subject, data.byteLength, this.payloadBytesMax);
    if (this.#status === "closed") throw closed(`request to ${subject}`);
    if (this.#status === "disconnected") throw disconnected(`request to ${subject}`);
    return this.#pending.add(subject, options.timeoutMs, (token) => {
      if (this.#network.route(subject, data, { client: this, token }) === 0)
        this.#pending.fail(token, noListener(subject));
    });
  }

  subscribe(subject: string, handler: (message: Message) => void, _options?: SubscribeOptions): Subscription {
    if (this.#status === "closed" || this.#closing !== undefined) throw closed(`subscribe to ${subject}`);
    const subscriber: Subscriber = { subject, handler, of: this, open: true };
    this.#subscribers.add(subscriber);
    this.#network.add(subscriber);
    return { unsubscribe: () => this.#drop(subscriber) };
  }

  onStatus(listener: (status: TransportStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async flush(): Promise<void> {
    if (this.#status === "closed") throw closed("flush");
    if (this.#status === "disconnected") throw disconnected("flush");
    await nextTurn(this.#runtime);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const subscriber of this.#subscribers) this.#network.remove(subscriber);
    this.#paused = false;
    this.#run();
    for (const subscriber of this.#subscribers) this.#drop(subscriber);
    this.#network.forget(this);
    this.#setStatus("closed");
    this.#pending.failAll(closed);
    await Promise.resolve();
  }

  /** @internal */
  deliver(delivery: Delivery): void {
    this.#inbox.push(delivery);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#paused || this.#inbox.length === 0) return;
    this.#scheduled = true;
    this.#runtime.soon(() => {
      this.#scheduled = false;
      if (!this.#paused) this.#run();
    });
  }

  /**
   * What arrives while this runs waits for the next turn, so that two peers that answer each other never starve the
   * event loop.
   */
  #run(): void {
    const batch = this.#inbox;
    this.#inbox = [];
    for (const delivery of batch) {
      if ("token" in delivery) this.#pending.answer(delivery.token, delivery.data);
      else if (delivery.to.open) this.#handle(delivery.to, delivery.data, delivery.reply);
    }
  }

  #handle(to: Subscriber, data: Uint8Array, reply: ReplyTo | undefined): void {
    const message: Message = {
      subject: to.subject,
      data,
      wantsReply: reply !== undefined,
      respond: (answer) => {
        checkPayload(`the asker on ${to.subject}`, answer.byteLength, this.payloadBytesMax);
        if (reply?.client.status === "connected" && this.#status === "connected")
          reply.client.deliver({ token: reply.token, data: answer.slice() });
      },
    };
    try {
      to.handler(message);
    } catch (error) {
      this.#onError(error, to.subject);
    }
  }

  #drop(subscriber: Subscriber): void {
    subscriber.open = false;
    this.#subscribers.delete(subscriber);
    this.#network.remove(subscriber);
  }

  #setStatus(status: TransportStatus): void {
    this.#status = status;
    for (const listener of [...this.#listeners]) listener(status);
  }
}
