/** In the thread: what user code prints goes to the agent's log with its task, at a bounded rate. */
import { format } from "node:util";
import { monotonicMs } from "./clock.js";
import { running } from "./task-context.js";

export type LogLevel = "info" | "warn" | "error";
type Post = (line: { t: "log"; level: LogLevel; where: string; text: string; dropped: number }) => void;

const linesPerSecond = 100;
const textMax = 4_096;

export class ConsoleRelay {
  readonly #post: Post;
  #windowMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #dropped = 0;

  constructor(post: Post) {
    this.#post = post;
  }

  /** Replaces the thread's console and output streams. */
  install(): void {
    const levels: [keyof Console, LogLevel][] = [
      ["log", "info"],
      ["info", "info"],
      ["debug", "info"],
      ["trace", "info"],
      ["warn", "warn"],
      ["error", "error"],
    ];
    for (const [method, level] of levels) {
      Object.defineProperty(console, method, {
        configurable: true,
        writable: true,
        value: (...args: unknown[]) => this.send(level, safeFormat(args)),
      });
    }
    for (const [stream, level] of [
      [process.stdout, "info"],
      [process.stderr, "error"],
    ] as const) {
      Object.defineProperty(stream, "write", {
        configurable: true,
        writable: true,
        value: (chunk: unknown, encoding?: unknown, done?: unknown) => {
          this.send(level, String(chunk).replace(/\n$/, ""));
          const callback = typeof encoding === "function" ? encoding : done;
          if (typeof callback === "function") queueMicrotask(callback as () => void);
          return true;
        },
      });
    }
  }

  send(level: LogLevel, text: string): void {
    const now = monotonicMs();
    if (now - this.#windowMs >= 1000) {
      this.#windowMs = now;
      this.#lines = 0;
    }
    if (this.#lines >= linesPerSecond) {
      this.#dropped++;
      return;
    }
    this.#lines++;
    const context = running.getStore();
    const where = context ? `${context.job}/${context.stage}/${context.task}` : "";
    this.#post({
      t: "log",
      level,
      where,
      text: text.length > textMax ? `${text.slice(0, textMax)}…` : text,
      dropped: this.#dropped,
    });
    this.#dropped = 0;
  }
}

function safeFormat(args: unknown[]): string {
  try {
    return format(...args);
  } catch {
    return "(something that cannot be printed)";
  }
}
