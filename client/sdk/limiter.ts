/** At most so many at once; the others wait in the order they came. */
import type { Patience } from "./patience.js";

export class Limiter {
  readonly #atOnce: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Who has lost patience leaves the queue; its promise then never settles. */
  async run<T>(work: () => Promise<T>, patience?: Patience): Promise<T> {
    if (this.#running >= this.#atOnce) {
      await new Promise<void>((resolve) => {
        const go = (): void => {
          stay?.();
          resolve();
        };
        this.#waiting.add(go);
        const stay = patience?.onEnd(() => this.#waiting.delete(go));
      });
    } else this.#running++;
    try {
      return await work();
    } finally {
      // The place goes to the next one without becoming free in between.
      const [next] = this.#waiting;
      if (next) {
        this.#waiting.delete(next);
        next();
      } else this.#running--;
    }
  }
}
