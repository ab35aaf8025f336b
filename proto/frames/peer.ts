/**
 * One end of the data plane: receives payloads into memory that is given to it, and sends payloads to other peers, many
 * streams at once. Owns the subscription, the clock of idle streams and the end of all; the halves of a stream are
 * receiver.ts and sender.ts.
 *
 * F1 A sender has at most the credit it was given in flight: `firstCreditBytes` unasked, the rest as the receiver makes
 *    room.
 * F2 A stream ends exactly once on each side, with success or a coded error. If one side ends it, the other is told, or
 *    finds out by probing.
 * F3 The bytes in the target are exactly those sent, or the stream fails: each frame has a checksum, or whoever opened
 *    the stream compares the digest of the whole. Nothing is written after it has ended.
 * F4 Streams of one sender take turns, frame by frame.
 */

import { hexOf } from "../digest.js";
import { isVolleyError, VolleyError } from "../errors.js";
import { isName } from "../ids.js";
import { limits } from "../limits.js";
import { type Runtime, realRuntime, type Stop } from "../runtime.js";
import { subjects } from "../subjects.js";
import { throwUnheard } from "../transport/faults.js";
import type { Message, Subscription, Transport } from "../transport/transport.js";
import {
  claimedStream,
  decodeFrame,
  encodeFrameHead,
  frameBytesFor,
  frameType,
  isStream,
  type Liveness,
  liveness,
} from "./frame.js";
import type { FrameLink } from "./link.js";
import { idleTicksMax } from "./link.js";
import { FrameReceiver, type IncomingStream, type OpenOptions } from "./receiver.js";
import { FrameSender, type SendOptions } from "./sender.js";

export interface FramePeerOptions {
  /** Frames have a connection of their own: a big one delays what stands behind it. */
  readonly transport: Transport;
  /** This peer's name in `subjects.frames`: a worker's or client's id. */
  readonly peer: string;
  /** A stream without news for this long fails with TIMEOUT. Default limits.frameIdleTimeoutMs. */
  readonly idleTimeoutMs?: number;
  /** Default: this process. */
  readonly runtime?: Runtime;
  /** Hears of damaged frames and of faults in handlers. */
  onError?(error: unknown, where: string): void;
  /** Called per data frame, for metrics. `bytes`: of payload. */
  onFrame?(direction: "in" | "out", bytes: number): void;
}

const nothing = new Uint8Array(0);
const isData = (type: number): boolean => type === frameType.data || type === frameType.digested;

export class FramePeer {
  readonly peer: string;
  readonly runtime: Runtime;
  readonly #transport: Transport;
  readonly #receiver: FrameReceiver;
  readonly #sender: FrameSender;
  readonly #subscription: Subscription;
  readonly #stopWatching: () => void;
  readonly #onError: (error: unknown, where: string) => void;
  readonly #onFrame: ((direction: "in" | "out", bytes: number) => void) | undefined;
  readonly #tickMs: number;
  #stopTicking: Stop | undefined;
  #closed = false;

  constructor(options: FramePeerOptions) {
    if (!isName(options.peer))
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `frame peer ${JSON.stringify(options.peer)}: expected 1 to 64 letters, digits, _ or -`,
      );
    this.peer = options.peer;
    this.runtime = options.runtime ?? realRuntime;
    this.#transport = options.transport;
    this.#onError = options.onError?.bind(options) ?? throwUnheard;
    this.#onFrame = options.onFrame?.bind(options);
    const idleTimeoutMs = options.idleTimeoutMs ?? limits.frameIdleTimeoutMs;
    this.#tickMs = Math.max(1, idleTimeoutMs / idleTicksMax);
    const link = this.#link();
    this.#receiver = new FrameReceiver(link, idleTimeoutMs);
    this.#sender = new FrameSender(link, idleTimeoutMs);
    this.#subscription = this.#transport.subscribe(subjects.frames(this.peer), (message) => this.#onMessage(message), {
      borrow: true,
    });
    this.#stopWatching = this.#transport.onStatus((status) => {
      if (status !== "connected")
        this.#failAll(
          (stream) =>
            new VolleyError("DISCONNECTED", `the connection to NATS was lost in the middle of stream ${stream}`),
        );
    });
  }

  /** Streams in either direction that have not ended. */
  get streams(): number {
    return this.#receiver.size + this.#sender.size;
  }

  /** Mints a stream whose size is not known yet. What comes before `open` is kept; `release` gives it up. */
  reserve(): string {
    this.#refuseIfClosed();
    const stream = this.#mintStream();
    this.#receiver.reserve(stream);
    this.#startTimer();
    return stream;
  }

  release(stream: string): void {
    this.#receiver.release(stream);
  }

  /** Readies a target for one payload. Throws INVALID_ARGUMENT, CONFLICT or CLOSED. */
  open(options: OpenOptions): IncomingStream {
    this.#refuseIfClosed();
    const stream = options.stream ?? this.#mintStream();
    if (!isStream(stream))
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `stream ${JSON.stringify(stream)}: expected 1 to 16 letters and digits`,
      );
    this.#startTimer();
    return this.#receiver.open(stream, options);
  }

  /**
   * Resolves, with what the receiver says of it, when it has the whole payload and has accepted it. Rejects with the
   * receiver's reason, or DISCONNECTED, TIMEOUT, NO_LISTENER (the receiver has gone), CORRUPT, CLOSED.
   */
  async send(options: SendOptions): Promise<Uint8Array> {
    this.#refuseIfClosed();
    if (!isStream(options.stream))
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `stream ${JSON.stringify(options.stream)}: expected 1 to 16 letters and digits`,
      );
    if (this.#transport.status !== "connected")
      throw new VolleyError("DISCONNECTED", `no connection to NATS for stream ${options.stream}`);
    this.#startTimer();
    return this.#sender.send(options);
  }

  /** Ends every stream with CLOSED, and tells the other sides. Leaves the transport open. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#failAll(
      (stream) => new VolleyError("CLOSED", `frame peer ${this.peer} was closed in the middle of stream ${stream}`),
    );
    this.#subscription.unsubscribe();
    this.#stopWatching();
    this.#stopTicking?.();
    if (this.#transport.status === "connected") await this.#transport.flush().catch(() => undefined);
  }

  #link(): FrameLink {
    const transport = this.#transport;
    return {
      runtime: this.runtime,
      // Read at every use: a server may come back with another limit.
      get frameBytes() {
        return frameBytesFor(transport.payloadBytesMax);
      },
      post: (to, type, stream, offset, total, body = nothing) => {
        if (isData(type)) this.#onFrame?.("out", body.byteLength);
        transport.publishParts(
          subjects.frames(to),
          encodeFrameHead({ type, stream, from: this.peer, offset, total, body }),
          body,
        );
      },
      flush: () => transport.flush(),
      probe: async (to, stream, role) => {
        const probe = encodeFrameHead({
          type: frameType.probe,
          stream,
          from: this.peer,
          offset: role === "receiver" ? 0 : 1,
          total: 0,
          body: nothing,
        });
        const answer = await transport.request(subjects.frames(to), probe, { timeoutMs: Math.ceil(this.#tickMs) });
        return (answer[0] ?? liveness.unknown) as Liveness;
      },
    };
  }

  #onMessage(message: Message): void {
    let frame: ReturnType<typeof decodeFrame>;
    try {
      frame = decodeFrame(message.data);
    } catch (error) {
      const stream = claimedStream(message.data);
      if (stream !== undefined && isVolleyError(error)) this.#receiver.onCorrupt(stream, error);
      this.#onError(error, "frames");
      return;
    }
    switch (frame.type) {
      case frameType.data:
      case frameType.digested:
        this.#onFrame?.("in", frame.body.byteLength);
        this.#receiver.onData(frame);
        return;
      case frameType.credit:
        this.#sender.onCredit(frame);
        return;
      case frameType.done:
        this.#sender.onDone(frame);
        return;
      case frameType.refuse:
        this.#sender.onRefuse(frame);
        return;
      case frameType.abandon:
        this.#receiver.onAbandon(frame);
        return;
      case frameType.probe:
        message.respond(
          Uint8Array.of(
            frame.offset === 0 ? this.#receiver.liveness(frame.stream) : this.#sender.liveness(frame.stream),
          ),
        );
        return;
    }
  }

  /** The clock runs only while there are streams. */
  #startTimer(): void {
    if (this.#stopTicking) return;
    this.#stopTicking = this.runtime.every(this.#tickMs, () => {
      if (this.streams === 0) {
        this.#stopTicking?.();
        this.#stopTicking = undefined;
        return;
      }
      this.#receiver.tick();
      this.#sender.tick();
    });
  }

  #failAll(error: (stream: string) => VolleyError): void {
    this.#receiver.failAll(error);
    this.#sender.failAll(error);
  }

  #mintStream(): string {
    return hexOf(this.runtime.randomBytes(8));
  }

  #refuseIfClosed(): void {
    if (this.#closed) throw new VolleyError("CLOSED", `frame peer ${this.peer} is closed`);
  }
}
