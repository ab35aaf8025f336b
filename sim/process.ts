/**
 * One process of the cluster. It runs what is due, stands still while it is paused (a stopped or starved process:
 * timers do not fire, messages queue up, and then everything at once), and is gone for good when it is dead. Its name
 * may be used again by another process.
 */
import type { Clock } from "./clock.js";
import type { Network } from "./network.js";
import type { Story } from "./story.js";

type Run = () => void;

interface Surroundings {
  readonly clock: Clock;
  readonly network: Network;
  readonly story: Story;
  readonly processes: Map<string, Process>;
  turnDue: boolean;
  guard(actor: string, run: Run): void;
}

export class Process {
  readonly address: string;
  readonly #world: Surroundings;
  #dead = false;
  #paused = false;
  readonly #timers: Run[] = [];
  readonly #mail: Run[] = [];

  constructor(world: Surroundings, address: string) {
    this.#world = world;
    this.address = address;
    world.processes.set(address, this);
  }

  get dead(): boolean {
    return this.#dead;
  }
  get paused(): boolean {
    return this.#paused;
  }

  emit(what: string): void {
    this.#world.story.emit(this.address, what);
  }

  /** A timer of this process. */
  later(delayMs: number, run: Run): void {
    this.#world.clock.after(delayMs, () => this.#due(this.#timers, run));
  }

  /** Something has come from outside: a message, an answer of the disk. */
  receive(run: Run): void {
    this.#due(this.#mail, run);
  }

  #due(queue: Run[], run: Run): void {
    if (this.#dead) return;
    if (this.#paused) queue.push(run);
    else {
      this.#world.turnDue = true;
      this.#world.guard(this.address, run);
    }
  }

  pause(): void {
    if (this.#dead || this.#paused) return;
    this.emit("is paused");
    this.#paused = true;
  }

  /** `mailFirst`: what has come is read before timers fire; both happen. */
  resume(mailFirst: boolean): void {
    if (this.#dead || !this.#paused) return;
    this.emit(`goes on: ${this.#timers.length} timers and ${this.#mail.length} messages are due`);
    this.#paused = false;
    const [first, then] = mailFirst ? [this.#mail, this.#timers] : [this.#timers, this.#mail];
    for (const run of [...first.splice(0), ...then.splice(0)]) this.#due(this.#timers, run);
  }

  die(why: string): void {
    if (this.#dead) return;
    this.#dead = true;
    this.emit(`dies: ${why}`);
    this.#world.network.remove(this.address);
    this.#timers.length = 0;
    this.#mail.length = 0;
  }
}
