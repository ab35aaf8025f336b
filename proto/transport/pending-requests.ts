/**
 * The requests of one connection that wait for their answer, by token. Owns their timers: whatever happens, each
 * settles exactly once. T7: `failAll` ends every one of them at once.
 */
import type { VolleyError } from "../errors.js";
import { type Runtime, realRuntime, type Stop } from "../runtime.js";
import { timedOut } from "./faults.js";

interface Pending {
  readonly subject: string;
  readonly resolve: (data: Uint8Array) => void;
  readonly reject: (error: VolleyError) => void;
  readonly stop: Stop;
}

export class PendingRequests {
  readonly #byToken = new Map<string, Pending>();
  readonly #runtime: Runtime;
  #next = 0;

  constructor(runtime: Runtime = realRuntime) {
    this.#runtime = runtime;
  }

  get size(): number {
    return this.#byToken.size;
  }

  /** Registers a request, calls `send` with its token and waits for the answer. */
  add(subject: string, timeoutMs: number, send: (token: string) => void): Promise<Uint8Array> {
    const token = (this.#next++).toString(36);
    return new Promise((resolve, reject) => {
      const stop = this.#runtime.after(timeoutMs, () => this.fail(token, timedOut(subject, timeoutMs)));
      this.#byToken.set(token, { subject, resolve, reject, stop });
      send(token);
    });
  }

  subjectOf(token: string): string | undefined {
    return this.#byToken.get(token)?.subject;
  }

  answer(token: string, data: Uint8Array): void {
    this.#take(token)?.resolve(data);
  }

  fail(token: string, error: VolleyError): void {
    this.#take(token)?.reject(error);
  }

  failAll(why: (what: string) => VolleyError): void {
    for (const [token, pending] of this.#byToken) this.fail(token, why(`request to ${pending.subject}`));
  }

  #take(token: string): Pending | undefined {
    const pending = this.#byToken.get(token);
    if (!pending) return undefined;
    this.#byToken.delete(token);
    pending.stop();
    return pending;
  }
}
