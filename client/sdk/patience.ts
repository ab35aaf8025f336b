/**
 * How long a caller waits. Whatever was entered somewhere for a wait (a waiter, a place in a queue) is taken out again
 * when the wait ends, whichever way it ends: nothing is left behind by a `get` that timed out.
 */
import { VolleyError } from "../../proto/errors.js";
import { checkTimeoutMs, Timer } from "../../proto/timer.js";

export class Patience {
  readonly #undo = new Set<() => void>();
  #over = false;

  get over(): boolean {
    return this.#over;
  }

  /** Calls `undo` when the wait ends. Returns how to say that it is not needed any more. */
  onEnd(undo: () => void): () => void {
    if (this.#over) {
      undo();
      return () => undefined;
    }
    // Its own function, so that one `undo` may be entered twice.
    const entry = (): void => undo();
    this.#undo.add(entry);
    return () => this.#undo.delete(entry);
  }

  /** For loops of a wait that nobody awaits any more; what it throws is seen by nobody. */
  check(): void {
    if (this.#over) throw new VolleyError("TIMEOUT", "nobody waits for this any more");
  }

  end(): void {
    this.#over = true;
    for (const undo of this.#undo) undo();
    this.#undo.clear();
  }
}

/**
 * Rejects with TIMEOUT after `timeoutMs` (0 to Infinity; undefined is Infinity); the work goes on. Throws
 * INVALID_ARGUMENT.
 */
export async function within<T>(
  timeoutMs: number | undefined,
  what: string,
  wait: (patience: Patience) => Promise<T>,
): Promise<T> {
  checkTimeoutMs(timeoutMs);
  const patience = new Patience();
  let timer: Timer | undefined;
  try {
    if (timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY) return await wait(patience);
    const late = new Promise<never>((_resolve, reject) => {
      const fail = (): void =>
        reject(
          new VolleyError("TIMEOUT", `${what} took longer than ${timeoutMs} ms; explain() says what it waits for`),
        );
      // After what has arrived already: a caller whose event loop was busy finds the timer due before the answer that
      // came in time.
      timer = new Timer(() => setImmediate(fail), timeoutMs);
    });
    return await Promise.race([wait(patience), late]);
  } finally {
    timer?.stop();
    patience.end();
  }
}
