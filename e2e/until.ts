import type { Job } from "../client/sdk/api.js";

/** Waits until so many tasks of the job have succeeded; fails when it ends before. */
export async function until(job: Job, succeeded: number): Promise<void> {
  for await (const status of job.progress()) {
    if (status.succeeded >= succeeded) return;
    if (status.state !== "running")
      throw new Error(`the job was ${status.state} before ${succeeded} tasks had succeeded`);
  }
}
