/**
 * How much of what was submitted is at the scheduler and not settled. What is beyond waits here, in order, and goes out
 * as results come: a program may submit a million calls, but a scheduler that serves many does not keep them all for
 * one.
 */

/** Stages, and bytes of their specifications. A thousand calls in flight are some tens of stages. */
export const windowStages = 10_000;
export const windowBytes = 64 * 1024 * 1024;

const none: readonly never[] = [];

export class SendWindow<S> {
  readonly #sent = new Map<S, number>();
  /** Ready to go, in order, and not looked at again until there is room. */
  #behind: S[] = [];
  #head = 0;
  /** Taken, but the room was not enough. */
  #again: S[] = [];
  readonly #stagesMax: number;
  #bytes = 0;

  constructor(stagesMax = windowStages) {
    this.#stagesMax = stagesMax;
  }

  /** One stage at least is always let through. */
  get isFull(): boolean {
    return this.#sent.size >= this.#stagesMax || this.#bytes >= windowBytes;
  }

  /** `again`: it had been taken. */
  hold(stage: S, again: boolean): void {
    (again ? this.#again : this.#behind).push(stage);
  }

  /** As many of those that wait as there is room for. */
  take(): readonly S[] {
    const waiting = this.#again.length + this.#behind.length - this.#head;
    if (waiting === 0 || this.isFull) return none;
    const taken = this.#again;
    this.#again = [];
    const end = Math.min(
      this.#behind.length,
      this.#head + Math.max(0, this.#stagesMax - this.#sent.size - taken.length),
    );
    for (; this.#head < end; this.#head++) taken.push(this.#behind[this.#head] as S);
    if (this.#head === this.#behind.length) this.forgetHeld();
    else if (this.#head * 2 > this.#behind.length) {
      this.#behind = this.#behind.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }

  /** Those that wait are known to the caller otherwise. */
  forgetHeld(): void {
    this.#again = [];
    this.#behind = [];
    this.#head = 0;
  }

  has(stage: S): boolean {
    return this.#sent.has(stage);
  }

  add(stage: S, bytes: number): void {
    if (this.#sent.has(stage)) return;
    this.#sent.set(stage, bytes);
    this.#bytes += bytes;
  }

  /** Its results are all here. True: there was no room before, and is now. */
  settle(stage: S): boolean {
    const bytes = this.#sent.get(stage);
    if (bytes === undefined) return false;
    const full = this.isFull;
    this.#sent.delete(stage);
    this.#bytes -= bytes;
    return full && !this.isFull;
  }
}
