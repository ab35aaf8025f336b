/** Jobs that are followed here: what the scheduler sends of them goes to those who wait for a change. */
import type { JobId } from "../../proto/ids.js";
import type { ClientMessage } from "../../proto/messages/client.js";
import type { JobStatus } from "../../proto/messages/status.js";
import type { Runtime } from "../../proto/runtime.js";

type JobMessage = Extract<ClientMessage, { t: "job" }>;

/** One who follows a job: the newest status that was sent and not taken. */
export class Watch {
  readonly #runtime: Runtime;
  #newest: JobStatus | undefined;
  #wake: () => void = () => undefined;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  changed(status: JobStatus): void {
    this.#newest = status;
    this.#wake();
  }

  /** The newest status, as soon as there is one; undefined when none has come in this time. */
  async next(timeoutMs: number): Promise<JobStatus | undefined> {
    if (!this.#newest) {
      await new Promise<void>((resolve) => {
        const stop = this.#runtime.after(timeoutMs, resolve);
        this.#wake = () => {
          stop();
          resolve();
        };
      });
      this.#wake = () => undefined;
    }
    const newest = this.#newest;
    this.#newest = undefined;
    return newest;
  }
}

export class Watches {
  readonly #jobs = new Map<JobId, Set<Watch>>();
  #epoch = 0;

  /** To be given back with `close`. */
  open(job: JobId, runtime: Runtime): Watch {
    const watch = new Watch(runtime);
    const watches = this.#jobs.get(job) ?? new Set();
    this.#jobs.set(job, watches.add(watch));
    return watch;
  }

  close(job: JobId, watch: Watch): void {
    const watches = this.#jobs.get(job);
    watches?.delete(watch);
    if (watches?.size === 0) this.#jobs.delete(job);
  }

  /** Of a scheduler that another has followed nothing is taken (M6). */
  changed({ epoch, status }: JobMessage): void {
    if (epoch < this.#epoch) return;
    this.#epoch = epoch;
    for (const watch of this.#jobs.get(status.job) ?? []) watch.changed(status);
  }
}
