/**
 * The broker on a virtual clock. Messages are bytes, and are decoded by whoever receives them; they are late, lost,
 * repeated or out of order as `faults` says, and nothing passes an address that is cut off.
 */
import { encodeMessage } from "../proto/codec.js";
import type { Clock } from "./clock.js";
import type { Random } from "./random.js";

export interface NetworkFaults {
  loss: number;
  duplication: number;
  reorder: number;
  delayMs: number;
}

export const calmNetwork: NetworkFaults = { loss: 0, duplication: 0, reorder: 0, delayMs: 0.3 };

export interface Delivery {
  readonly from: string;
  readonly data: Uint8Array;
  /** Answers a request; undefined when no answer was asked for. */
  readonly respond: ((data: Uint8Array) => void) | undefined;
}

export type Handler = (delivery: Delivery) => void;

/** Where the answers to one request go. There may be none (the asker repeats itself), or several. */
export interface Asker {
  answer(data: Uint8Array): void;
  /** Nobody listens. */
  unheard?(): void;
}

interface Subscriber {
  readonly address: string;
  readonly handler: Handler;
}

export class Network {
  faults: NetworkFaults = calmNetwork;
  readonly counts = { sent: 0, lost: 0, duplicated: 0, reordered: 0, cut: 0 };
  readonly clock: Clock;
  readonly random: Random;
  #away = false;
  readonly #receive: (address: string, run: () => void) => void;
  readonly #subscribers = new Map<string, Subscriber[]>();
  readonly #cut = new Set<string>();
  readonly #gone = new Set<string>();
  readonly #lastAtMs = new Map<string, number>();
  /** By address: who is told that the way is interrupted or free again. */
  readonly #watchers = new Map<string, Set<() => void>>();

  /** `receive`: lets the process of this address take what has come for it, now or when it can. */
  constructor(clock: Clock, random: Random, receive: (address: string, run: () => void) => void) {
    this.clock = clock;
    this.random = random;
    this.#receive = receive;
  }

  /** The broker is away: nobody is heard, and what is under way is lost. */
  get away(): boolean {
    return this.#away;
  }
  set away(away: boolean) {
    this.#away = away;
    for (const watchers of this.#watchers.values()) for (const changed of watchers) changed();
  }

  subscribe(subject: string, address: string, handler: Handler): () => void {
    const subscriber = { address, handler };
    this.#subscribers.set(subject, [...(this.#subscribers.get(subject) ?? []), subscriber]);
    this.#gone.delete(address);
    return () => this.#leave(subject, (one) => one === subscriber);
  }

  #leave(subject: string, leaves: (subscriber: Subscriber) => boolean): void {
    const left = (this.#subscribers.get(subject) ?? []).filter((one) => !leaves(one));
    if (left.length > 0) this.#subscribers.set(subject, left);
    else this.#subscribers.delete(subject);
  }

  cut(address: string): void {
    this.#cut.add(address);
    this.#emit(address);
  }
  heal(address: string): void {
    this.#cut.delete(address);
    this.#emit(address);
  }
  isCut(address: string): boolean {
    return this.#away || this.#cut.has(address);
  }

  watch(address: string, changed: () => void): void {
    const watchers = this.#watchers.get(address) ?? new Set();
    this.#watchers.set(address, watchers.add(changed));
  }

  #emit(address: string): void {
    for (const changed of this.#watchers.get(address) ?? []) changed();
  }

  /** The process behind this address is dead: it hears nothing more. What it said before is under way. */
  remove(address: string): void {
    this.#gone.add(address);
    this.#watchers.delete(address);
    for (const subject of [...this.#subscribers.keys()]) this.#leave(subject, (one) => one.address === address);
  }

  publish(from: string, subject: string, message: unknown): void {
    this.send(from, subject, encodeMessage(message));
  }

  /** `onReply` runs once per answer that arrives. */
  request(from: string, subject: string, message: unknown, onReply: (data: Uint8Array) => void): void {
    this.send(from, subject, encodeMessage(message), { answer: onReply });
  }

  /** A round trip to the broker and back; it shows when the way is there again whether it was interrupted meanwhile. */
  roundTrip(from: string, onEnd: (interrupted: boolean) => void): void {
    let interrupted = false;
    const arrive = (): void => {
      if (this.isCut(from)) {
        interrupted = true;
        this.clock.after(100, arrive);
      } else this.#receive(from, () => onEnd(interrupted));
    };
    this.clock.after(this.random.delay(this.faults.delayMs), arrive);
  }

  send(from: string, subject: string, data: Uint8Array, asker?: Asker): void {
    this.#carry(from, `${from} ${subject}`, () => {
      const subscribers = [...(this.#subscribers.get(subject) ?? [])];
      if (subscribers.length === 0 && asker?.unheard) this.#answer(subject, from, () => asker.unheard?.());
      for (const { address, handler } of subscribers) {
        if (this.isCut(address)) {
          this.counts.cut++;
          continue;
        }
        const respond =
          asker && ((answer: Uint8Array) => this.#answer(address, from, () => asker.answer(answer.slice())));
        this.#receive(address, () => handler({ from, data: data.slice(), respond }));
      }
    });
  }

  #answer(from: string, to: string, arrive: () => void): void {
    this.#carry(from, `${from} inbox ${to}`, () => {
      if (this.isCut(to)) this.counts.cut++;
      else if (!this.#gone.has(to)) this.#receive(to, arrive);
    });
  }

  /** Decides the fate of one message on one path. */
  #carry(from: string, path: string, deliver: () => void): void {
    const { loss, duplication, reorder, delayMs } = this.faults;
    const { random } = this;
    this.counts.sent++;
    if (this.isCut(from)) {
      this.counts.cut++;
      return;
    }
    if (loss > 0 && random.chance(loss)) {
      this.counts.lost++;
      return;
    }
    let atMs = this.clock.nowMs + random.delay(delayMs);
    if (reorder > 0 && random.chance(reorder)) {
      this.counts.reordered++;
      atMs += random.delay(20 * delayMs);
    } else {
      atMs = Math.max(atMs, this.#lastAtMs.get(path) ?? 0);
      this.#lastAtMs.set(path, atMs);
    }
    this.clock.after(atMs - this.clock.nowMs, deliver);
    if (duplication > 0 && random.chance(duplication)) {
      this.counts.duplicated++;
      this.clock.after(atMs - this.clock.nowMs + random.delay(30 * delayMs), deliver);
    }
  }
}
