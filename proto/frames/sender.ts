/**
 * The sending half of a frame peer. Owns outgoing streams, their turns (F4), and the bound on what this process has
 * handed to its connection but not yet got rid of: the client library itself bounds nothing.
 */
import { isVolleyError, VolleyError } from "../errors.js";
import { type Frame, type FrameType, frameType, type Liveness, liveness } from "./frame.js";
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
import { type Payload, payloadOf } from "./payload.js";

export interface SendOptions {
  readonly to: string;
  /** Minted by the receiver. */
  readonly stream: string;
  /** Must not change until the send has settled. May lie in shared memory. */
  readonly payload: Payload | Uint8Array;
  /** The receiver compares the digest of the whole, so that frames need no checksum of their bodies. */
  readonly digested?: boolean;
}

interface Outgoing {
  readonly stream: string;
  readonly to: string;
  readonly payload: Payload;
  readonly type: FrameType;
  readonly resolve: (sent: Uint8Array) => void;
  readonly reject: (error: VolleyError) => void;
  sent: number;
  granted: number;
  started: boolean;
  idleTicks: number;
}

/** Bytes handed to the connection and not yet known to have left. */
const outboundBytesMax = 8 * 1024 * 1024;
/** A barrier (a round trip to the server) stands after each of these. */
const barrierBytes = 2 * 1024 * 1024;
/** Bytes sent in one turn of the event loop. */
const turnBytesMax = 2 * 1024 * 1024;
const nothing = new Uint8Array(0);

export class FrameSender {
  readonly #link: FrameLink;
  readonly #idleTimeoutMs: number;
  readonly #streams = new Map<string, Outgoing>();
  /** Streams that may send, each once, in the order of their turns. */
  readonly #ready = new Set<Outgoing>();
  #outboundBytes = 0;
  #sinceBarrierBytes = 0;
  #turnScheduled = false;

  constructor(link: FrameLink, idleTimeoutMs: number) {
    this.#link = link;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Resolves with what the receiver says of the payload. */
  send(options: SendOptions): Promise<Uint8Array> {
    const { to, stream } = options;
    const payload = options.payload instanceof Uint8Array ? payloadOf(options.payload) : options.payload;
    if (this.#streams.has(stream))
      return Promise.reject(new VolleyError("CONFLICT", `stream ${stream} is being sent already`));
    return new Promise((resolve, reject) => {
      const outgoing: Outgoing = {
        stream,
        to,
        payload,
        type: options.digested ? frameType.digested : frameType.data,
        resolve,
        reject,
        sent: 0,
        granted: Math.min(payload.byteLength, firstCreditBytes),
        started: false,
        idleTicks: 0,
      };
      this.#streams.set(stream, outgoing);
      this.#ready.add(outgoing);
      this.#pump();
    });
  }

  onCredit(frame: Frame): void {
    const outgoing = this.#streams.get(frame.stream);
    if (!outgoing) return;
    outgoing.idleTicks = 0;
    outgoing.granted = Math.max(outgoing.granted, Math.min(outgoing.payload.byteLength, frame.offset));
    if (outgoing.sent >= outgoing.granted) return;
    this.#ready.add(outgoing);
    this.#pump();
  }

  onDone(frame: Frame): void {
    const outgoing = this.#streams.get(frame.stream);
    if (!outgoing) return;
    if (outgoing.sent === outgoing.payload.byteLength) this.#end(outgoing, undefined, frame.body.slice());
    else
      this.#abandon(
        outgoing,
        new VolleyError(
          "CORRUPT",
          `stream ${frame.stream} was confirmed at ${outgoing.sent} of ${outgoing.payload.byteLength} bytes`,
        ),
      );
  }

  onRefuse(frame: Frame): void {
    const outgoing = this.#streams.get(frame.stream);
    if (outgoing) this.#end(outgoing, decodeFailure(frame.body));
  }

  liveness(stream: string): Liveness {
    const outgoing = this.#streams.get(stream);
    // Its turn has not come: that is not the receiver's business.
    return outgoing === undefined ? liveness.unknown : this.#ready.has(outgoing) ? liveness.busy : liveness.alive;
  }

  tick(): void {
    for (const outgoing of [...this.#streams.values()]) {
      if (this.#ready.has(outgoing)) continue;
      outgoing.idleTicks++;
      if (outgoing.idleTicks >= idleTicksMax)
        this.#abandon(
          outgoing,
          streamIdle(outgoing.stream, outgoing.to, outgoing.sent, outgoing.payload.byteLength, this.#idleTimeoutMs),
        );
      else if (outgoing.idleTicks >= idleTicksProbe) void this.#probe(outgoing);
    }
  }

  failAll(error: (stream: string) => VolleyError): void {
    for (const outgoing of [...this.#streams.values()]) this.#abandon(outgoing, error(outgoing.stream));
  }

  #pump(): void {
    if (this.#turnScheduled) return;
    let turnBytes = 0;
    for (const outgoing of this.#ready) {
      if (this.#outboundBytes >= outboundBytesMax) return; // A barrier's end pumps on.
      if (turnBytes >= turnBytesMax) {
        this.#turnScheduled = true;
        this.#link.runtime.soon(() => {
          this.#turnScheduled = false;
          this.#pump();
        });
        return;
      }
      this.#ready.delete(outgoing);
      turnBytes += this.#sendFrame(outgoing);
      // At the end of the set: this loop comes by again.
      if (outgoing.sent < outgoing.granted) this.#ready.add(outgoing);
    }
  }

  #sendFrame(outgoing: Outgoing): number {
    const from = outgoing.sent;
    const bytes = Math.min(this.#link.frameBytes, outgoing.granted - from);
    this.#link.post(
      outgoing.to,
      outgoing.type,
      outgoing.stream,
      from,
      outgoing.payload.byteLength,
      outgoing.payload.part(from, bytes),
    );
    outgoing.sent = from + bytes;
    outgoing.started = true;
    outgoing.idleTicks = 0;
    this.#outboundBytes += bytes;
    this.#sinceBarrierBytes += bytes;
    if (this.#sinceBarrierBytes >= barrierBytes) this.#barrier();
    return bytes;
  }

  #barrier(): void {
    const bytes = this.#sinceBarrierBytes;
    this.#sinceBarrierBytes = 0;
    const passed = (): void => {
      this.#outboundBytes -= bytes;
      this.#pump();
    };
    // Lost with the connection: nothing of it waits here any more.
    this.#link.flush().then(passed, passed);
  }

  async #probe(outgoing: Outgoing): Promise<void> {
    try {
      const answer = await this.#link.probe(outgoing.to, outgoing.stream, "receiver");
      if (answer === liveness.busy) outgoing.idleTicks = Math.min(outgoing.idleTicks, idleTicksProbe);
      if (answer === liveness.unknown) this.#end(outgoing, peerForgot(outgoing.to, outgoing.stream));
    } catch (error) {
      if (isVolleyError(error) && error.code === "NO_LISTENER")
        this.#end(outgoing, peerGone(outgoing.to, outgoing.stream));
    }
  }

  #abandon(outgoing: Outgoing, error: VolleyError): void {
    this.#end(outgoing, error);
    this.#link.post(
      outgoing.to,
      frameType.abandon,
      outgoing.stream,
      outgoing.sent,
      outgoing.payload.byteLength,
      encodeFailure(error),
    );
  }

  #end(outgoing: Outgoing, error: VolleyError | undefined, sent = nothing): void {
    if (this.#streams.get(outgoing.stream) !== outgoing) return;
    this.#streams.delete(outgoing.stream);
    this.#ready.delete(outgoing);
    if (error) outgoing.reject(error);
    else outgoing.resolve(sent);
  }
}
