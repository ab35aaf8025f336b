/**
 * A model of NATS core: subjects, subscribers, requests with an inbox, at-most-once delivery. Messages are really
 * encoded and, at the receiver, really decoded against their schema, so nobody shares memory and nobody says what the
 * protocol does not know.
 *
 * Faults: loss, duplication (as senders repeat themselves), reorder within a subject (as a reconnect can show), delay,
 * and cuts: an address that is cut neither sends nor receives, and what is under way to or from it is lost.
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
  readonly respond: ((message: unknown) => void) | undefined;
}

export type Handler = (delivery: Delivery) => void;

export class Network {
  faults: NetworkFaults = calmNetwork;
  readonly counts = { sent: 0, lost: 0, duplicated: 0, reordered: 0, cut: 0 };
  /** The broker is away: nobody is heard, and what is under way is lost. */
  away = false;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #hear: (address: string, run: () => void) => void;
  readonly #subscribers = new Map<string, { address: string; handler: Handler }[]>();
  readonly #cut = new Set<string>();
  readonly #gone = new Set<string>();
  readonly #lastAtMs = new Map<string, number>();

  /** `hear`: lets the process of this address take what has come for it, now or when it can. */
  constructor(clock: Clock, random: Random, hear: (address: string, run: () => void) => void) {
    this.#clock = clock;
    this.#random = random;
    this.#hear = hear;
  }

  subscribe(subject: string, address: string, handler: Handler): void {
    const list = this.#subscribers.get(subject) ?? [];
    list.push({ address, handler });
    this.#gone.delete(address);
    this.#subscribers.set(subject, list);
  }

  cut(address: string): void {
    this.#cut.add(address);
  }
  heal(address: string): void {
    this.#cut.delete(address);
  }
  isCut(address: string): boolean {
    return this.away || this.#cut.has(address);
  }

  /** The process behind this address is dead: it hears nothing more. What it said before is under way. */
  remove(address: string): void {
    this.#gone.add(address);
    for (const [subject, list] of this.#subscribers) {
      const left = list.filter((one) => one.address !== address);
      if (left.length > 0) this.#subscribers.set(subject, left);
      else this.#subscribers.delete(subject);
    }
  }

  publish(from: string, subject: string, message: unknown): void {
    this.#send(from, subject, encodeMessage(message), undefined);
  }

  /** `onReply` runs at most once per answer that arrives; there may be none (the asker repeats itself), or several. */
  request(from: string, subject: string, message: unknown, onReply: (data: Uint8Array) => void): void {
    this.#send(from, subject, encodeMessage(message), onReply);
  }

  /**
   * A round trip to the broker and back. It fails when the way is interrupted meanwhile, which shows when it is there
   * again.
   */
  flush(from: string): Promise<void> {
    // A promise would wait for the end of the run.
    return {
      // biome-ignore lint/suspicious/noThenProperty: it waits for nothing but this answer, and is asked for it at once.
      then: (onAnswer: () => void, onFailure: () => void) => this.#flush(from, onAnswer, onFailure),
    } as unknown as Promise<void>;
  }

  #flush(from: string, onAnswer: () => void, onFailure: () => void): void {
    let interrupted = false;
    const arrive = (): void => {
      if (this.isCut(from)) {
        interrupted = true;
        this.#clock.after(100, arrive);
      } else this.#hear(from, interrupted ? onFailure : onAnswer);
    };
    this.#clock.after(this.#random.delay(this.faults.delayMs), arrive);
  }

  #send(from: string, subject: string, data: Uint8Array, onReply: ((data: Uint8Array) => void) | undefined): void {
    this.#carry(from, `${from} ${subject}`, () => {
      for (const { address, handler } of [...(this.#subscribers.get(subject) ?? [])]) {
        if (this.isCut(address)) {
          this.counts.cut++;
          continue;
        }
        const respond = onReply && ((message: unknown) => this.#answer(address, from, encodeMessage(message), onReply));
        this.#hear(address, () => handler({ from, data, respond }));
      }
    });
  }

  #answer(from: string, to: string, data: Uint8Array, onReply: (data: Uint8Array) => void): void {
    this.#carry(from, `${from} inbox ${to}`, () => {
      if (this.isCut(to)) this.counts.cut++;
      else if (!this.#gone.has(to)) this.#hear(to, () => onReply(data));
    });
  }

  /** Decides the fate of one message on one path. */
  #carry(from: string, path: string, deliver: () => void): void {
    const { loss, duplication, reorder, delayMs } = this.faults;
    const random = this.#random;
    this.counts.sent++;
    if (this.isCut(from)) {
      this.counts.cut++;
      return;
    }
    if (loss > 0 && random.chance(loss)) {
      this.counts.lost++;
      return;
    }
    let atMs = this.#clock.nowMs + random.delay(delayMs);
    if (reorder > 0 && random.chance(reorder)) {
      this.counts.reordered++;
      atMs += random.delay(20 * delayMs);
    } else {
      atMs = Math.max(atMs, this.#lastAtMs.get(path) ?? 0);
      this.#lastAtMs.set(path, atMs);
    }
    this.#clock.after(atMs - this.#clock.nowMs, deliver);
    if (duplication > 0 && random.chance(duplication)) {
      this.counts.duplicated++;
      this.#clock.after(atMs - this.#clock.nowMs + random.delay(30 * delayMs), deliver);
    }
  }
}
