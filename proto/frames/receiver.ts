/**
 * The receiving half of a frame peer. Owns incoming streams: where their bytes go, how much credit each has, how each
 * ends (F1..F3 in peer.ts).
 */
import { isVolleyError, VolleyError } from "../errors.js";
import { limits } from "../limits.js";
import { type Frame, frameType, type Liveness, liveness } from "./frame.js";
import {
  decodeFailure,
  encodeFailure,
  type FrameLink,
  firstCreditBytes,
  idleTicksMax,
  idleTicksProbe,
  peerForgot,
  peerGone,
  streamIdle,
} from "./link.js";

export interface OpenOptions {
  /** Size of the payload; `target` has this size. */
  readonly bytes: number;
  /** Frames are written here as they come. May lie in shared memory. */
  readonly target: Uint8Array;
  /** A stream that was reserved before; minted if left out. */
  readonly stream?: string;
  /** Called with each piece of the payload, in order and once, when it is in the target. */
  readonly landed?: (piece: Uint8Array) => void;
  /** The sending peer, if it is known: lets its loss be noticed before the first frame. */
  readonly from?: string;
  /** Runs when every byte is there; the sender hears of success only after it, and of its failure if it throws. */
  readonly accept?: () => void | Promise<void>;
  /** What the sender is told of a payload that was accepted. */
  readonly sent?: () => Uint8Array;
}

export interface IncomingStream {
  readonly stream: string;
  /** Rejects with the error that ended the stream. Nothing is written to the target after it has settled. */
  readonly done: Promise<void>;
  cancel(reason?: VolleyError): void;
}

interface Incoming {
  readonly stream: string;
  readonly total: number;
  readonly target: Uint8Array;
  readonly accept: (() => void | Promise<void>) | undefined;
  readonly sent: (() => Uint8Array) | undefined;
  readonly landed: ((piece: Uint8Array) => void) | undefined;
  readonly resolve: () => void;
  readonly reject: (error: VolleyError) => void;
  from: string | undefined;
  received: number;
  granted: number;
  idleTicks: number;
  accepting: boolean;
}

/** Credit given out by one peer to all its senders together. nats-server drops a connection with 64 MiB unread. */
const creditBytesMax = 32 * 1024 * 1024;
/** A sender that was given no credit yet sends no more than this many frames. */
const heldFramesMax = 8;

export class FrameReceiver {
  readonly #link: FrameLink;
  readonly #idleTimeoutMs: number;
  readonly #streams = new Map<string, Incoming>();
  /** Reserved streams, with the frames that came before they were opened. */
  readonly #reserved = new Map<string, Frame[]>();

  constructor(link: FrameLink, idleTimeoutMs: number) {
    this.#link = link;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  get size(): number {
    return this.#streams.size + this.#reserved.size;
  }

  reserve(stream: string): void {
    this.#reserved.set(stream, []);
  }

  release(stream: string): void {
    this.#reserved.delete(stream);
  }

  open(stream: string, options: OpenOptions): IncomingStream {
    const { bytes, target } = options;
    if (target.byteLength !== bytes)
      throw new VolleyError("INVALID_ARGUMENT", `target of ${target.byteLength} bytes for a payload of ${bytes}`);
    if (this.#streams.has(stream)) throw new VolleyError("CONFLICT", `stream ${stream} is open already`);
    const early = this.#reserved.get(stream) ?? [];
    this.#reserved.delete(stream);
    const done = new Promise<void>((resolve, reject) => {
      this.#streams.set(stream, {
        stream,
        total: bytes,
        target,
        accept: options.accept,
        sent: options.sent,
        landed: options.landed,
        resolve,
        reject,
        from: options.from,
        received: 0,
        granted: Math.min(bytes, firstCreditBytes),
        idleTicks: 0,
        accepting: false,
      });
    });
    done.catch(() => undefined); // Whoever awaits it hears of it; nobody need.
    for (const frame of early) this.onData(frame);
    return {
      stream,
      done,
      cancel: (reason) =>
        this.#cancel(stream, reason ?? new VolleyError("CANCELLED", `stream ${stream} was cancelled by its receiver`)),
    };
  }

  onData(frame: Frame): void {
    const incoming = this.#streams.get(frame.stream);
    if (!incoming) {
      this.#onEarly(frame);
      return;
    }
    const { total, received, target } = incoming;
    incoming.from = frame.from;
    incoming.idleTicks = 0;
    const end = frame.offset + frame.body.byteLength;
    if (frame.total !== total || end > total) {
      this.#refuse(
        incoming,
        new VolleyError(
          "CORRUPT",
          `stream ${frame.stream}: a frame of a payload of ${frame.total} bytes, expected ${total}`,
        ),
      );
      return;
    }
    if (incoming.accepting || (end <= received && total > 0)) return; // A duplicate.
    if (frame.offset !== received) {
      this.#refuse(
        incoming,
        new VolleyError(
          "DISCONNECTED",
          `stream ${frame.stream}: the frame at ${received} was lost, the one at ${frame.offset} came`,
        ),
      );
      return;
    }
    target.set(frame.body, received);
    incoming.received = end;
    incoming.landed?.(target.subarray(received, end));
    if (end === total) void this.#finish(incoming);
    else this.#grant(incoming, false);
  }

  onAbandon(frame: Frame): void {
    this.#reserved.delete(frame.stream);
    const incoming = this.#streams.get(frame.stream);
    if (incoming) this.#end(incoming, decodeFailure(frame.body));
  }

  /** Bytes of a frame of this stream came damaged. */
  onCorrupt(stream: string, error: VolleyError): void {
    const incoming = this.#streams.get(stream);
    if (incoming) this.#refuse(incoming, error);
  }

  liveness(stream: string): Liveness {
    if (this.#reserved.has(stream)) return liveness.busy;
    const incoming = this.#streams.get(stream);
    return incoming === undefined ? liveness.unknown : incoming.accepting ? liveness.busy : liveness.alive;
  }

  tick(): void {
    for (const incoming of [...this.#streams.values()]) {
      if (incoming.accepting) continue;
      incoming.idleTicks++;
      if (incoming.idleTicks >= idleTicksMax) {
        this.#refuse(
          incoming,
          streamIdle(
            incoming.stream,
            incoming.from ?? "a sender not heard of yet",
            incoming.received,
            incoming.total,
            this.#idleTimeoutMs,
          ),
        );
      } else if (incoming.idleTicks >= idleTicksProbe && incoming.from !== undefined) {
        this.#grant(incoming, true);
        void this.#probe(incoming, incoming.from);
      }
    }
  }

  failAll(error: (stream: string) => VolleyError): void {
    for (const incoming of [...this.#streams.values()]) this.#refuse(incoming, error(incoming.stream));
    this.#reserved.clear();
  }

  #onEarly(frame: Frame): void {
    const held = this.#reserved.get(frame.stream);
    if (held && held.length < heldFramesMax) {
      held.push({ ...frame, body: frame.body.slice() });
      return;
    }
    this.#reserved.delete(frame.stream);
    const gone = new VolleyError("CANCELLED", `nobody waits for stream ${frame.stream} any more`);
    this.#link.post(frame.from, frameType.refuse, frame.stream, 0, frame.total, encodeFailure(gone));
  }

  /** Gives credit in steps of a quarter of the window; all streams together share what this peer gives out. */
  #grant(incoming: Incoming, again: boolean): void {
    if (incoming.from === undefined) return;
    const fair = Math.floor(creditBytesMax / Math.max(1, this.#streams.size));
    const window = Math.max(this.#link.frameBytes, Math.min(limits.windowBytes, fair));
    const upTo = Math.min(incoming.total, incoming.received + window);
    const gain = upTo - incoming.granted;
    if (gain <= 0 ? !again : gain < window / 4 && upTo < incoming.total && !again) return;
    incoming.granted = Math.max(incoming.granted, upTo);
    this.#link.post(incoming.from, frameType.credit, incoming.stream, incoming.granted, incoming.total);
  }

  async #finish(incoming: Incoming): Promise<void> {
    incoming.accepting = true;
    try {
      const accepted = incoming.accept?.();
      if (accepted !== undefined) await accepted;
    } catch (error) {
      this.#refuse(
        incoming,
        isVolleyError(error)
          ? error
          : new VolleyError(
              "INTERNAL",
              `what came on stream ${incoming.stream} could not be accepted: ${String(error)}`,
              { cause: error },
            ),
      );
      return;
    }
    if (!this.#streams.delete(incoming.stream)) return; // It was cancelled while it was being accepted.
    const { from, stream, total } = incoming;
    this.#link.post(from as string, frameType.done, stream, total, total, incoming.sent?.());
    incoming.resolve();
  }

  async #probe(incoming: Incoming, from: string): Promise<void> {
    try {
      const answer = await this.#link.probe(from, incoming.stream, "sender");
      if (answer === liveness.busy) incoming.idleTicks = Math.min(incoming.idleTicks, idleTicksProbe);
      if (answer === liveness.unknown && !incoming.accepting) this.#end(incoming, peerForgot(from, incoming.stream));
    } catch (error) {
      if (isVolleyError(error) && error.code === "NO_LISTENER" && !incoming.accepting)
        this.#end(incoming, peerGone(from, incoming.stream));
    }
  }

  #cancel(stream: string, reason: VolleyError): void {
    const incoming = this.#streams.get(stream);
    if (incoming) this.#refuse(incoming, reason);
  }

  #refuse(incoming: Incoming, error: VolleyError): void {
    if (!this.#end(incoming, error)) return;
    if (incoming.from !== undefined)
      this.#link.post(incoming.from, frameType.refuse, incoming.stream, 0, incoming.total, encodeFailure(error));
  }

  #end(incoming: Incoming, error: VolleyError): boolean {
    if (this.#streams.get(incoming.stream) !== incoming) return false;
    this.#streams.delete(incoming.stream);
    incoming.reject(error);
    return true;
  }
}
