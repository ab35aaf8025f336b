/** Virtual time: what is due runs in order of its time, ties in order of arrival. Nothing here waits. */
import { Timers } from "../scheduler/core/timers.js";

export class Clock {
  #nowMs = 0;
  readonly #due = new Timers<() => void>();

  get nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): void {
    this.#due.add(this.#nowMs + Math.max(0, delayMs), run);
  }

  /** Everything stands still for so long; what was due meanwhile is late. */
  jump(ms: number): void {
    this.#nowMs += ms;
  }

  /** Runs the next thing that is due before `untilMs`; false when there is none. */
  advance(untilMs: number): boolean {
    const next = this.#due.nextMs;
    if (next === undefined || next > untilMs) {
      this.#nowMs = Math.max(this.#nowMs, untilMs);
      return false;
    }
    this.#nowMs = Math.max(this.#nowMs, next);
    this.#due.take(next)?.();
    return true;
  }
}
