/**
 * Which leases may bring their inputs into memory. The inputs of a lease are pinned together, from before it runs until
 * it has ended; were each lease to take room for one input after the other, two could wait for each other's. So a lease
 * takes room for all of them at once, or waits, in order, holding nothing. What several leases read counts once.
 */
import type { ObjectId } from "../../proto/ids.js";
import { alignedBytes } from "./allocator.js";
import { neverFits } from "./entry.js";

interface Waiter {
  readonly wants: ReadonlyMap<ObjectId, number>;
  admit(): void;
}

export class InputRoom {
  readonly #budgetBytes: number;
  readonly #residents = new Map<ObjectId, { readonly bytes: number; leases: number }>();
  readonly #waiters: Waiter[] = [];
  #bytes = 0;

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  /** Leases that wait. */
  get waiting(): number {
    return this.#waiters.length;
  }

  /**
   * Resolves with the way out when all of `wants` (bytes by id) have room beside those of other leases. Rejects with
   * OUT_OF_MEMORY if they never can, with the signal's reason when it is aborted. `onWait` is called if it has to wait.
   */
  async enter(wants: ReadonlyMap<ObjectId, number>, signal: AbortSignal, onWait: () => void): Promise<() => void> {
    let total = 0;
    for (const bytes of wants.values()) total += alignedBytes(bytes);
    if (total > this.#budgetBytes)
      throw neverFits(
        `the ${wants.size} inputs of a lease do not fit into this worker's object store together`,
        total,
        this.#budgetBytes,
      );
    if (this.#waiters.length === 0 && this.#fits(wants)) this.#take(wants);
    else {
      onWait();
      await this.#turn(wants, signal);
    }
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#leave(wants);
      this.#admit();
    };
  }

  /** Resolves when the wants have been taken. */
  #turn(wants: ReadonlyMap<ObjectId, number>, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(signal.reason);
        this.#admit();
      };
      const waiter: Waiter = {
        wants,
        admit: () => {
          signal.removeEventListener("abort", stop);
          resolve();
        },
      };
      this.#waiters.push(waiter);
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
    });
  }

  #admit(): void {
    for (let first = this.#waiters[0]; first && this.#fits(first.wants); first = this.#waiters[0]) {
      this.#waiters.shift();
      // In this turn, so that the next in line sees it.
      this.#take(first.wants);
      first.admit();
    }
  }

  #fits(wants: ReadonlyMap<ObjectId, number>): boolean {
    let bytes = this.#bytes;
    for (const [id, size] of wants) if (!this.#residents.has(id)) bytes += alignedBytes(size);
    return bytes <= this.#budgetBytes;
  }

  #take(wants: ReadonlyMap<ObjectId, number>): void {
    for (const [id, size] of wants) {
      const resident = this.#residents.get(id);
      if (resident) resident.leases++;
      else {
        const bytes = alignedBytes(size);
        this.#residents.set(id, { bytes, leases: 1 });
        this.#bytes += bytes;
      }
    }
  }

  #leave(wants: ReadonlyMap<ObjectId, number>): void {
    for (const id of wants.keys()) {
      const resident = this.#residents.get(id);
      if (!resident || --resident.leases > 0) continue;
      this.#residents.delete(id);
      this.#bytes -= resident.bytes;
    }
  }
}
