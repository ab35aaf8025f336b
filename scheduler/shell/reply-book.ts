/**
 * Who is owed an answer. A token stands for one request message; it is answered once, or forgotten after `keepMs` (its
 * asker has given up long before).
 */
import type { Instance, WorkerId } from "../../proto/ids.js";
import type { SchedulerCommand } from "../../proto/messages/worker.js";
import type { Message } from "../../proto/transport/transport.js";
import type { ReplyToken } from "../core/events.js";

export interface Owed {
  readonly message: Message;
  readonly kind: "client" | "worker";
  readonly sinceMs: number;
  /** Commands gathered for the answer to a worker. */
  readonly commands: SchedulerCommand[];
  /** Who asked, known from the first of them. */
  worker: WorkerId | undefined;
  instance: Instance | undefined;
}

/**
 * Answers owed at most: while the journal stands still, askers go on asking. The oldest of them has asked again by
 * then.
 */
export const owedMax = 100_000;

export class ReplyBook {
  readonly #owed = new Map<ReplyToken, Owed>();
  readonly #keepMs: number;
  readonly #nowMs: () => number;
  #next = 1;
  /** Workers' requests of this turn: each is answered at its end, be it with nothing. */
  #asking: ReplyToken[] = [];

  constructor(nowMs: () => number, keepMs: number) {
    this.#nowMs = nowMs;
    this.#keepMs = keepMs;
  }

  get size(): number {
    return this.#owed.size;
  }

  add(message: Message, kind: Owed["kind"]): ReplyToken {
    const token = this.#next++;
    if (this.#owed.size >= owedMax)
      for (const oldest of this.#owed.keys()) {
        this.#owed.delete(oldest);
        break;
      }
    this.#owed.set(token, {
      message,
      kind,
      sinceMs: this.#nowMs(),
      commands: [],
      worker: undefined,
      instance: undefined,
    });
    if (kind === "worker") this.#asking.push(token);
    return token;
  }

  find(token: ReplyToken): Owed | undefined {
    return this.#owed.get(token);
  }

  take(token: ReplyToken): Owed | undefined {
    const owed = this.#owed.get(token);
    this.#owed.delete(token);
    return owed;
  }

  takeAsking(): ReplyToken[] {
    if (this.#asking.length === 0) return this.#asking;
    const asking = this.#asking;
    this.#asking = [];
    return asking;
  }

  sweep(): void {
    const before = this.#nowMs() - this.#keepMs;
    for (const [token, owed] of this.#owed) {
      if (owed.sinceMs > before) return;
      this.#owed.delete(token);
    }
  }
}
