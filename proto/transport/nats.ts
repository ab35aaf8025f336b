/**
 * Transport over NATS. Owns one connection and what the client library leaves open: requests that end when the
 * connection does (T7), handlers that cannot break the reader, drops while disconnected, a close that never hangs.
 * Contract T1..T7: transport.ts.
 *
 *   const transport = await connectNats({ url: "nats://user:pass@127.0.0.1:4222", name: "worker-1" });
 */

import { connect, createInbox, errors, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { isVolleyError, VolleyError } from "../errors.js";
import { inboxOf } from "../permissions.js";
import { sleep as delay } from "../timer.js";
import { checkPayload, closed, disconnected, joined, noListener, throwUnheard } from "./faults.js";
import { presizeBuffers, writeParts } from "./nats-fast-path.js";
import { PendingRequests } from "./pending-requests.js";
import type { Message, SubscribeOptions, Subscription, Transport, TransportStatus } from "./transport.js";

export interface ConnectNatsOptions {
  /**
   * nats://user:password@host:port, nats://token@host:port or tls://…; several servers of one cluster are joined by
   * commas.
   */
  readonly url: string;
  /** Shown by the server in its list of connections. */
  readonly name: string;
  /** How long to try for the first connection. Default 10,000. */
  readonly connectTimeoutMs?: number;
  /**
   * Large messages land in the memory of those before, for a connection whose subscriptions borrow (frames); those of
   * others are copied. `natsConnection` must not be used for messages then.
   */
  readonly reuseMemory?: boolean;
  /**
   * Hears what handlers throw (`where` is the subject) and what the server complains of. Without it such an error ends
   * the process.
   */
  onError?(error: unknown, where: string): void;
}

export interface NatsTransport extends Transport {
  /** For JetStream and for statistics (`natsConnection.stats()`). Closed by `close` of the transport. */
  readonly natsConnection: NatsConnection;
}

const connectTimeoutMsDefault = 10_000;
const retryIntervalMs = 100;
const drainTimeoutMs = 2_000;
/** A large payload's buffer is kept as it came; a small one would pin the whole read of the socket that it came in. */
const copyBytesMax = 64 * 1024;

/** The url without its password or token, for messages and logs. */
export const redactUrl = (url: string): string =>
  url.replace(
    /(\w+:\/\/)([^@/,]*)@/g,
    (_all, scheme: string, who: string) =>
      `${scheme}${who.includes(":") ? `${who.slice(0, who.indexOf(":"))}:` : ""}***@`,
  );

interface Credentials {
  user?: string;
  pass?: string;
  token?: string;
}

/** Throws INVALID_ARGUMENT for what is not a NATS url. */
function parseServers(url: string): { servers: string[]; credentials: Credentials; tls: boolean } {
  let credentials: Credentials = {};
  let tls = false;
  const servers = url.split(",").map((part) => {
    const text = part.trim();
    let parsed: URL;
    try {
      parsed = new URL(text.includes("://") ? text : `nats://${text}`);
    } catch (cause) {
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `${redactUrl(text)} is not a NATS url; expected nats://user:password@host:port`,
        { cause },
      );
    }
    if (!["nats:", "tls:"].includes(parsed.protocol) || parsed.hostname === "") {
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `${redactUrl(text)} is not a NATS url; expected nats:// or tls:// and a host`,
      );
    }
    tls ||= parsed.protocol === "tls:";
    const user = decodeURIComponent(parsed.username);
    if (parsed.password !== "") credentials = { user, pass: decodeURIComponent(parsed.password) };
    else if (user !== "") credentials = { token: user };
    return `${parsed.hostname}:${parsed.port || "4222"}`;
  });
  return { servers, credentials, tls };
}

const isAuthFailure = (error: unknown): boolean =>
  error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError;

/** The server lets the user of the url have no part in this subject: it is another role's. No time heals that. */
export function asRefusedSubject(error: unknown): VolleyError | undefined {
  if (!(error instanceof errors.PermissionViolationError)) return undefined;
  return new VolleyError(
    "UNAUTHENTICATED",
    `NATS refuses the user of the url a ${error.operation} of ${error.subject}; each role joins with the url of its own user`,
  );
}

/**
 * Connects, trying again until `connectTimeoutMs` is over. Fails with NATS_UNAVAILABLE, or UNAUTHENTICATED if the
 * server refused the credentials. Once connected it reconnects for ever; `onStatus` tells.
 */
export async function connectNats(options: ConnectNatsOptions): Promise<NatsTransport> {
  const { servers, credentials, tls } = parseServers(options.url);
  const timeoutMs = options.connectTimeoutMs ?? connectTimeoutMsDefault;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      const connection = await connect({
        servers,
        ...credentials,
        ...(tls ? { tls: {} } : {}),
        name: options.name,
        inboxPrefix: inboxOf(credentials.user ?? ""),
        noAsyncTraces: true,
        maxReconnectAttempts: -1,
        reconnectTimeWait: retryIntervalMs,
        reconnectJitter: retryIntervalMs,
        reconnectJitterTLS: retryIntervalMs,
        ignoreAuthErrorAbort: true,
        pingInterval: 10_000,
        maxPingOut: 2,
        // Also of every later dial.
        timeout: Math.max(1_000, Math.min(5_000, timeoutMs)),
      });
      return new NatsTransportImpl(connection, options, createInbox(inboxOf(credentials.user ?? "")));
    } catch (cause) {
      if (isVolleyError(cause)) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      if (isAuthFailure(cause))
        throw new VolleyError(
          "UNAUTHENTICATED",
          `NATS at ${redactUrl(options.url)} refused the credentials of the url: ${why}`,
          { cause },
        );
      if (performance.now() + retryIntervalMs >= deadline) {
        throw new VolleyError(
          "NATS_UNAVAILABLE",
          `no connection to NATS at ${redactUrl(options.url)} within ${timeoutMs} ms: ${why}; is a nats-server running there?`,
          { cause },
        );
      }
      await delay(retryIntervalMs);
    }
  }
}

class NatsMessage implements Message {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly #msg: Msg;
  readonly #transport: Transport;

  constructor(msg: Msg, subject: string, data: Uint8Array, transport: Transport) {
    this.#msg = msg;
    this.subject = subject;
    this.data = data;
    this.#transport = transport;
  }

  get wantsReply(): boolean {
    return (this.#msg.reply ?? "") !== "";
  }

  respond(data: Uint8Array): void {
    const to = this.#msg.reply ?? "";
    if (to !== "") this.#transport.publish(to, data);
  }
}

class NatsTransportImpl implements NatsTransport {
  readonly natsConnection: NatsConnection;
  readonly #onError: (error: unknown, where: string) => void;
  readonly #listeners = new Set<(status: TransportStatus) => void>();
  readonly #pending = new PendingRequests();
  readonly #inbox: string;
  readonly #keepBytesMin: number;
  #status: TransportStatus = "connected";
  #closing: Promise<void> | undefined;

  constructor(connection: NatsConnection, options: ConnectNatsOptions, inbox: string) {
    this.#inbox = inbox;
    this.natsConnection = connection;
    this.#keepBytesMin = options.reuseMemory ? Number.POSITIVE_INFINITY : copyBytesMax;
    this.#onError = options.onError?.bind(options) ?? throwUnheard;
    connection.subscribe(`${this.#inbox}.*`, { callback: (error, msg) => this.#answered(error, msg) });
    presizeBuffers(connection, options.reuseMemory === true);
    void this.#watch();
    void connection.closed().then(() => this.#setStatus("closed"));
  }

  get payloadBytesMax(): number {
    return this.natsConnection.info?.max_payload ?? 1024 * 1024;
  }

  get status(): TransportStatus {
    return this.#status;
  }

  publish(subject: string, data: Uint8Array): void {
    checkPayload(subject, data.byteLength, this.payloadBytesMax);
    // While disconnected the library would keep it until the next dial and then drop it.
    if (this.#status === "connected") this.#send(subject, data);
  }

  publishParts(subject: string, head: Uint8Array, body: Uint8Array): void {
    checkPayload(subject, head.byteLength + body.byteLength, this.payloadBytesMax);
    if (this.#status === "connected" && !writeParts(this.natsConnection, subject, head, body))
      this.#send(subject, joined(head, body));
  }

  async request(subject: string, data: Uint8Array, options: { timeoutMs: number }): Promise<Uint8Array> {
    checkPayload(subject, data.byteLength, this.payloadBytesMax);
    if (this.#status === "closed" || this.#closing !== undefined) throw closed(`request to ${subject}`);
    if (this.#status === "disconnected") throw disconnected(`request to ${subject}`);
    return this.#pending.add(subject, options.timeoutMs, (token) => {
      if (!this.#send(subject, data, `${this.#inbox}.${token}`))
        this.#pending.fail(token, closed(`request to ${subject}`));
    });
  }

  subscribe(subject: string, handler: (message: Message) => void, options: SubscribeOptions = {}): Subscription {
    if (this.#status === "closed" || this.#closing !== undefined) throw closed(`subscribe to ${subject}`);
    const borrow = options.borrow === true;
    const subscription = this.natsConnection.subscribe(subject, {
      callback: (error, msg) => {
        // Whatever is thrown here would end the library's reader, and with it every subscription of the connection.
        try {
          if (error) throw error;
          const data = msg.data;
          handler(
            new NatsMessage(
              msg,
              subject,
              borrow || data.byteLength > this.#keepBytesMin ? data : new Uint8Array(data),
              this,
            ),
          );
        } catch (thrown) {
          this.#onError(thrown, subject);
        }
      },
    });
    return { unsubscribe: () => subscription.unsubscribe() };
  }

  onStatus(listener: (status: TransportStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async flush(): Promise<void> {
    if (this.#status === "closed") throw closed("flush");
    if (this.#status === "disconnected") throw disconnected("flush");
    try {
      await this.natsConnection.flush();
    } catch {
      throw this.#closing !== undefined ? closed("flush") : disconnected("flush");
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // `drain` waits for a server that may not be there.
    const timeout = new AbortController();
    await Promise.race([
      this.#status === "connected" ? this.natsConnection.drain().catch(() => undefined) : undefined,
      delay(drainTimeoutMs, undefined, { signal: timeout.signal }).catch(() => undefined),
    ]);
    timeout.abort();
    await this.natsConnection.close();
    this.#setStatus("closed");
  }

  /** False: the connection is past sending. Its end may be known to the library a moment before it is to us. */
  #send(subject: string, data: Uint8Array, reply?: string): boolean {
    try {
      if (reply === undefined) this.natsConnection.publish(subject, data);
      else this.natsConnection.publish(subject, data, { reply });
      return true;
    } catch (error) {
      if (this.natsConnection.isClosed() || this.natsConnection.isDraining()) return false;
      throw error;
    }
  }

  #answered(error: Error | null, msg: Msg): void {
    if (error) {
      this.#onError(error, "request");
      return;
    }
    const token = msg.subject.slice(this.#inbox.length + 1);
    const data = msg.data;
    if (data.byteLength === 0 && msg.headers?.code === 503)
      this.#pending.fail(token, noListener(this.#pending.subjectOf(token) ?? "?"));
    else this.#pending.answer(token, data.byteLength > this.#keepBytesMin ? data : new Uint8Array(data));
  }

  async #watch(): Promise<void> {
    for await (const event of this.natsConnection.status()) {
      if (event.type === "disconnect") this.#setStatus("disconnected");
      else if (event.type === "reconnect") this.#setStatus("connected");
      else if (event.type === "error") this.#onError(event.error, "nats");
    }
  }

  #setStatus(status: TransportStatus): void {
    if (this.#status === status || this.#status === "closed") return;
    this.#status = status;
    if (status === "disconnected") this.#pending.failAll(disconnected);
    if (status === "closed") this.#pending.failAll(closed);
    for (const listener of [...this.#listeners]) {
      try {
        listener(status);
      } catch (error) {
        this.#onError(error, "status");
      }
    }
  }
}
