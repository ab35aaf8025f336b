/**
 * Which scheduler to believe (M6): that of the highest epoch heard. A deposed one that has not noticed yet answers
 * questions, too, and knows less.
 *
 * When nothing but lower epochs is heard for `fallenMs`, the cluster has come back from an older copy of itself: then
 * they are believed.
 */
const fallenMsDefault = 15_000;

export class EpochWatch {
  readonly #fallenMs: number;
  #epoch = 0;
  #receivedMs = 0;
  /** Since when a lower one has been heard, and none of the highest. */
  #lowerSinceMs: number | undefined;

  constructor(fallenMs = fallenMsDefault) {
    this.#fallenMs = fallenMs;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Whether what came with this epoch counts. */
  admits(epoch: number, nowMs: number): boolean {
    if (epoch < this.#epoch && !this.#isFallen(nowMs)) return false;
    this.#epoch = epoch;
    this.#receivedMs = nowMs;
    this.#lowerSinceMs = undefined;
    return true;
  }

  #isFallen(nowMs: number): boolean {
    this.#lowerSinceMs ??= nowMs;
    return Math.min(nowMs - this.#lowerSinceMs, nowMs - this.#receivedMs) > this.#fallenMs;
  }
}
