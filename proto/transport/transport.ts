/**
 * What Volley asks of a network: subjects, requests, at-most-once delivery, and to be told of the connection's state.
 * Two forms, one contract test suite (contract.test.ts): nats.ts and testing/memory.ts.
 *
 * T1 A message is delivered to every subscriber at most once, in the publisher's order per subject; it may be lost
 * while disconnected. T2 `request` fails at once with NO_LISTENER when nobody listens on the subject: the cheap "is it
 * there" probe. T3 A payload above `payloadBytesMax` throws TOO_LARGE synchronously; nothing is sent. T4 Handlers run
 * synchronously in arrival order and never overlap; a throwing handler is reported to `onError`, not to the sender. T5
 * The bytes given to a handler are its own for ever (never a view on a buffer that the transport reuses), unless it
 * subscribed with `borrow`. T6 `publish` and `request` have taken their bytes when the current run of microtasks ends;
 * until then the caller must not change them. T7 When the connection is lost, every request in flight rejects at once
 * with DISCONNECTED, and so does one made while it is away.
 */
export interface Message {
  readonly subject: string;
  readonly data: Uint8Array;
  /** Answers a request; does nothing when the message asked for no answer. */
  respond(data: Uint8Array): void;
  readonly wantsReply: boolean;
}

export interface Subscription {
  unsubscribe(): void;
}

export interface SubscribeOptions {
  /**
   * The handler uses `data` only until it returns and never hands it on, so it is spared the copy of T5. For large
   * payloads.
   */
  readonly borrow?: boolean;
}

export type TransportStatus = "connected" | "disconnected" | "closed";

export interface Transport {
  readonly payloadBytesMax: number;
  readonly status: TransportStatus;
  /** At most once: what is published while disconnected or closed is lost without an error; watch `onStatus`. */
  publish(subject: string, data: Uint8Array): void;
  /**
   * Publishes head and body as one message without joining them first. `body` must not change until a later `flush` has
   * settled (T6 does not hold).
   */
  publishParts(subject: string, head: Uint8Array, body: Uint8Array): void;
  /** Rejects with VolleyError: NO_LISTENER, TIMEOUT, DISCONNECTED or CLOSED. */
  request(subject: string, data: Uint8Array, options: { timeoutMs: number }): Promise<Uint8Array>;
  /** `onError` of the transport's options hears what the handler throws. Throws CLOSED after `close`. */
  subscribe(subject: string, handler: (message: Message) => void, options?: SubscribeOptions): Subscription;
  /** Called at every change of status; returns the way to stop listening. */
  onStatus(listener: (status: TransportStatus) => void): () => void;
  /** Resolves when everything published before has reached the server. Rejects with DISCONNECTED or CLOSED. */
  flush(): Promise<void>;
  /** Drains subscriptions, flushes and closes. Idempotent. */
  close(): Promise<void>;
}
