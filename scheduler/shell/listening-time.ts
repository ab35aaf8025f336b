/**
 * For how much of the time this process was able to hear. Whether somebody else was silent can be judged by no other
 * time.
 *
 * The proof is a round trip to the server: its answer comes in the order of everything else, so that whatever the
 * server had for us before has been handled; and it does not come while the process is stopped, its loop blocked, the
 * server stopped or the connection gone.
 *
 * H1 The time between two round trips counts, at most `spanMsMax` of it: of a long one nobody knows when in it we could
 * hear. H2 After a gap the others need time, too: their connections may have gone with ours. Until as much has passed
 * as was missed (at most `graceMsMax`),
 *    time counts half. Half and not nothing, so that a process that keeps stalling judges late, and not never.
 */
import type { Transport } from "../../proto/transport/transport.js";

/** How often to ask. */
export const askEveryMs = 150;

const spanMsMax = 500;
/** A span this long was a gap. */
const gapMs = 1_000;

export interface ListeningTimeOptions {
  readonly transport: Pick<Transport, "flush">;
  /** Monotonic. */
  readonly nowMs: () => number;
  readonly graceMsMax: number;
  /** Nothing could be heard for so long; told when that is over. */
  onDeaf?(ms: number): void;
}

export class ListeningTime {
  readonly #options: ListeningTimeOptions;
  #probing = false;
  /** When the last answered question was asked. */
  #askedMs: number;
  #answered = true;
  #receivedMs = 0;
  #graceMs = 0;

  constructor(options: ListeningTimeOptions) {
    this.#options = options;
    this.#askedMs = options.nowMs();
  }

  /** Milliseconds since the last call in which whoever spoke was heard. */
  take(): number {
    const receivedMs = this.#receivedMs;
    this.#receivedMs = 0;
    return receivedMs;
  }

  /** Asks the server. To be called well more often than every {@link spanMsMax}. */
  ask(): void {
    if (this.#probing) return;
    const { transport, nowMs } = this.#options;
    const askedMs = nowMs();
    this.#probing = true;
    transport.flush().then(
      () => this.#onAnswer(askedMs),
      () => this.#onFailure(),
    );
  }

  #onAnswer(askedMs: number): void {
    this.#probing = false;
    const spanMs = askedMs - this.#askedMs;
    const counted = this.#answered ? Math.min(spanMs, spanMsMax) : 0;
    this.#askedMs = askedMs;
    this.#answered = true;
    if (spanMs > gapMs) {
      this.#graceMs = Math.max(this.#graceMs, Math.min(spanMs, this.#options.graceMsMax));
      this.#options.onDeaf?.(spanMs);
    }
    const half = Math.min(this.#graceMs, counted) / 2;
    this.#graceMs -= 2 * half;
    this.#receivedMs += counted - half;
  }

  #onFailure(): void {
    this.#probing = false;
    this.#answered = false;
    this.#graceMs = this.#options.graceMsMax;
  }
}
