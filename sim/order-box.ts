/**
 * Orders of one turn, gathered for each worker process: never those of one process in the message of another of its
 * name (M7).
 */
import type { Instance, WorkerId } from "../proto/ids.js";
import type { WorkerOrder } from "../proto/messages/worker.js";

interface Waiting {
  readonly worker: WorkerId;
  readonly instance: Instance | undefined;
  readonly orders: WorkerOrder[];
}

export class OrderBox {
  #waiting: Waiting[] = [];

  add(worker: WorkerId, instance: Instance | undefined, order: WorkerOrder): void {
    const waiting = this.#waiting.find((one) => one.worker === worker && one.instance === instance);
    if (waiting) waiting.orders.push(order);
    else this.#waiting.push({ worker, instance, orders: [order] });
  }

  take(): Waiting[] {
    return this.#waiting.splice(0);
  }
}
