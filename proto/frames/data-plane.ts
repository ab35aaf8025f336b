/**
 * Objects between peers: the requester's halves (fetch, offer) and the server's half of `dataRequest`. Bytes travel as
 * frames.
 *
 * A transfer that is cut by the network (DISCONNECTED, CORRUPT, TIMEOUT of a request) is begun again until the caller's
 * time is over: objects are immutable, so that changes nothing but the time.
 */

import { contentId } from "../address.js";
import { decodeMessage, encodeMessage } from "../codec.js";
import { equalBytes, RunningDigest } from "../digest.js";
import { type ErrorCode, fromWireError, isVolleyError, toWireError, VolleyError } from "../errors.js";
import type { ObjectId } from "../ids.js";
import { limits } from "../limits.js";
import { type DataReply, type DataRequest, dataReply, dataRequest } from "../messages/data.js";
import { pause, type Runtime } from "../runtime.js";
import { subjects } from "../subjects.js";
import type { Subscription, Transport } from "../transport/transport.js";
import type { ValueKind } from "../values/value.js";
import type { Payload } from "./payload.js";
import type { FramePeer } from "./peer.js";

export interface ObjectMeta {
  readonly kind: ValueKind;
  readonly bytes: number;
  readonly digest: Uint8Array;
}

export interface ObjectName {
  readonly id: ObjectId;
  readonly digest: Uint8Array;
}

export interface FetchOptions {
  readonly transport: Transport;
  readonly frames: FramePeer;
  /** The peer that holds the object. */
  readonly from: string;
  readonly id: ObjectId;
  /**
   * What it must be: another content of this id is not taken. The bytes are digested as they land; when they are not
   * what was announced, the holder is asked to look at its own.
   */
  readonly digest?: Uint8Array | undefined;
  /**
   * Gives the memory for the object, `meta.bytes` long; may throw OUT_OF_MEMORY. Called again only if the size turns
   * out to be another.
   */
  allocate(meta: ObjectMeta): Uint8Array | Promise<Uint8Array>;
  /** For everything together. */
  readonly timeoutMs: number;
}

export interface OfferOptions {
  readonly transport: Transport;
  readonly frames: FramePeer;
  /** The peer that shall take the object. */
  readonly to: string;
  /** What it is called and has to be; absent: it is named by what lands there. */
  readonly name?: ObjectName | undefined;
  readonly kind: ValueKind;
  /** Must not change until the offer has settled. */
  readonly payload: Payload | Uint8Array;
  /** For everything together. Default: limits.requestTimeoutMs plus a second per 8 MiB. */
  readonly timeoutMs?: number;
}

export type PutRequest = Extract<DataRequest, { t: "put" }>;

export interface Lookup extends Omit<ObjectMeta, "bytes"> {
  readonly data: Uint8Array;
  /** Called once, when the bytes are no longer read. */
  release(): void;
}

export interface Acceptance {
  readonly target: Uint8Array;
  /**
   * Every byte is in the target; the digest is of what landed there, and not what the offer said. The offerer hears of
   * success only after this.
   */
  commit(name: ObjectName): void | Promise<void>;
  /** The transfer failed; the target is not written to any more. */
  abort(): void;
}

export interface ServeOptions {
  readonly transport: Transport;
  readonly frames: FramePeer;
  /** undefined: not here, or another content of this id. May throw a VolleyError. */
  lookup(
    id: ObjectId,
    wanted: { digest?: Uint8Array | undefined; suspect?: boolean | undefined },
  ): Lookup | undefined | Promise<Lookup | undefined>;
  /** "have": it is here already. Throws a VolleyError to refuse. */
  accept(put: PutRequest): Acceptance | "have" | Promise<Acceptance | "have">;
  onError?(error: unknown, where: string): void;
}

const nothing: Uint8Array = new Uint8Array(0);
const retryIntervalMs = 100;
/** What the network did, as opposed to what the other side said. */
const transient: ReadonlySet<ErrorCode> = new Set(["DISCONNECTED", "CORRUPT"]);
/**
 * NO_LISTENER means that the peer has gone; but after a cut it may only be later than we are in finding its way back.
 */
const returnGraceMs = 3_000;

/**
 * Fetches an object. Rejects with OBJECT_NOT_FOUND, NO_LISTENER (the peer has gone), TIMEOUT, CLOSED, or what
 * `allocate` throws.
 */
export async function fetchObject(options: FetchOptions): Promise<ObjectMeta & { data: Uint8Array }> {
  const { frames, from, id } = options;
  let target: Uint8Array | undefined;
  let suspect = false;
  return again(`fetch of ${id} from ${from}`, options.timeoutMs, options, async (remainingMs) => {
    const stream = frames.reserve();
    try {
      const reply = await ask(
        options.transport,
        from,
        { t: "get", id, stream, to: frames.peer, digested: true, ...wanted(options, suspect) },
        remainingMs(),
      );
      if (reply.t !== "sending") throw unexpected(from, reply);
      const meta: ObjectMeta = { kind: reply.kind as ValueKind, bytes: reply.bytes, digest: reply.digest };
      if (options.digest && !equalBytes(options.digest, meta.digest))
        throw new VolleyError("OBJECT_NOT_FOUND", `peer ${from} has another content of ${id}`);
      if (target?.byteLength !== meta.bytes) target = await options.allocate(meta);
      const landing = new RunningDigest(meta.kind);
      const landed = (piece: Uint8Array): void => landing.add(piece);
      const incoming = frames.open({ stream, bytes: meta.bytes, target, from, landed });
      const stop = frames.runtime.after(remainingMs(), () =>
        incoming.cancel(
          new VolleyError("TIMEOUT", `fetch of ${id} from ${from} took longer than ${options.timeoutMs} ms`),
        ),
      );
      try {
        await incoming.done;
      } finally {
        stop();
      }
      suspect = true;
      if (!equalBytes(landing.end(), meta.digest))
        throw new VolleyError(
          "CORRUPT",
          `object ${id} of ${meta.bytes} bytes from ${from} does not have the digest it was announced with`,
        );
      return { ...meta, data: target };
    } finally {
      frames.release(stream);
    }
  });
}

const wanted = ({ digest }: FetchOptions, suspect: boolean): { digest?: Uint8Array; suspect?: boolean } => ({
  ...(digest ? { digest } : {}),
  ...(suspect ? { suspect } : {}),
});

export interface Offered {
  /** The other side had it already. */
  readonly had: boolean;
  readonly digest: Uint8Array;
}

/** Offers an object. Rejects with the other side's reason, NO_LISTENER, TIMEOUT, CORRUPT or CLOSED. */
export async function offerObject(options: OfferOptions): Promise<Offered> {
  const { frames, to, name, kind, payload } = options;
  const timeoutMs =
    options.timeoutMs ?? limits.requestTimeoutMs + Math.ceil(payload.byteLength / (8 * 1024 * 1024)) * 1_000;
  return again(`offer of ${name?.id ?? "an object"} to ${to}`, timeoutMs, options, async (remainingMs) => {
    const reply = await ask(
      options.transport,
      to,
      { t: "put", ...name, kind, bytes: payload.byteLength, from: frames.peer },
      remainingMs(),
    );
    if (reply.t === "have" && name) return { had: true, digest: name.digest };
    if (reply.t !== "send") throw unexpected(to, reply);
    const digest = await frames.send({ to: reply.to, stream: reply.stream, payload });
    return { had: false, digest: name?.digest ?? digest };
  });
}

/** Serves `subjects.data` of the frame peer: what a worker does for other peers. */
export function serveData(options: ServeOptions): Subscription {
  const { transport, frames } = options;
  return transport.subscribe(subjects.data(frames.peer), (message) => {
    const respond = (reply: DataReply): void => message.respond(encodeMessage(reply));
    const request = (): Promise<void> => {
      const asked = decodeMessage(dataRequest, message.data);
      return asked.t === "get" ? serveGet(options, asked, respond) : servePut(options, asked, respond);
    };
    void Promise.resolve()
      .then(request)
      .catch((error: unknown) => {
        if (!isVolleyError(error)) options.onError?.(error, "data");
        respond({ t: "error", error: toWireError(error) });
      });
  });
}

async function serveGet(
  options: ServeOptions,
  get: Extract<DataRequest, { t: "get" }>,
  respond: (reply: DataReply) => void,
): Promise<void> {
  const found = await options.lookup(get.id, get);
  if (!found) throw new VolleyError("OBJECT_NOT_FOUND", `peer ${options.frames.peer} has no object ${get.id}`);
  try {
    respond({ t: "sending", kind: found.kind, bytes: found.data.byteLength, digest: found.digest });
    // The receiver knows, and begins again if it wants to.
    const { to, stream, digested = false } = get;
    await options.frames.send({ to, stream, digested, payload: found.data }).catch(() => undefined);
  } finally {
    found.release();
  }
}

async function servePut(options: ServeOptions, put: PutRequest, respond: (reply: DataReply) => void): Promise<void> {
  const accepted = await options.accept(put);
  if (accepted === "have") {
    respond({ t: "have" });
    return;
  }
  try {
    const landing = new RunningDigest(put.kind);
    let digest = nothing;
    const incoming = options.frames.open({
      bytes: put.bytes,
      target: accepted.target,
      from: put.from,
      landed: (piece) => landing.add(piece),
      accept: () => {
        digest = landing.end();
        return accepted.commit({ id: put.id ?? contentId(digest), digest });
      },
      sent: () => digest,
    });
    respond({ t: "send", stream: incoming.stream, to: options.frames.peer });
    incoming.done.catch(() => accepted.abort());
  } catch (error) {
    accepted.abort();
    throw error;
  }
}

async function ask(transport: Transport, peer: string, request: DataRequest, timeoutMs: number): Promise<DataReply> {
  const reply = decodeMessage(
    dataReply,
    await transport.request(subjects.data(peer), encodeMessage(request), { timeoutMs }),
  );
  if (reply.t === "error") throw fromWireError(reply.error);
  return reply;
}

const unexpected = (peer: string, reply: DataReply): VolleyError =>
  new VolleyError("INTERNAL", `peer ${peer} answered ${JSON.stringify(reply.t)}, which does not fit the request`);

/**
 * Bytes that arrive spoilt are sent again at most this many times: what is spoilt each time was spoilt before it went,
 * and whoever waits should hear so.
 */
const spoiltMax = 3;

/** Repeats `attempt` while it is cut by the network and there is time. */
async function again<T>(
  what: string,
  timeoutMs: number,
  { transport, frames: { runtime } }: { readonly transport: Transport; readonly frames: { readonly runtime: Runtime } },
  attempt: (remainingMs: () => number) => Promise<T>,
): Promise<T> {
  const deadline = runtime.nowMs() + timeoutMs;
  const remainingMs = (): number => Math.max(1, Math.ceil(deadline - runtime.nowMs()));
  let graceEnds = 0;
  let spoilt = 0;
  for (;;) {
    try {
      return await attempt(remainingMs);
    } catch (error) {
      if (!isVolleyError(error) || transport.status === "closed") throw error;
      if (error.code === "CORRUPT" && ++spoilt > spoiltMax) throw error;
      const now = runtime.nowMs();
      if (transient.has(error.code)) graceEnds = now + returnGraceMs;
      else if (error.code !== "NO_LISTENER" || now > graceEnds) throw error;
      if (now + retryIntervalMs >= deadline)
        throw new VolleyError(
          "TIMEOUT",
          `${what} took longer than ${timeoutMs} ms; the last failure: ${error.message}`,
          { cause: error },
        );
      await pause(runtime, retryIntervalMs);
    }
  }
}
