/**
 * Who follows a job: its status is sent to those clients when it changes, so that nobody asks again and again.
 *
 * V1 A watch lasts `watchMs` and is renewed by asking again. So a status that was lost, and a scheduler that has just
 *    begun and knows of no watch, cost a client no more than the time to its next question.
 * V2 An end is sent at once, when the journal has it (I6); what changes before, at most every `changesMs`.
 * V3 There are at most limits.watchesMax; whoever comes when there are so many goes on asking.
 */
import type { ClientId, JobId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { jobStatusOf } from "./job-status.js";
import type { Context, JobRecord, State } from "./state.js";
import type { Watched, Watches } from "./watch-record.js";

/** Some times what a client lets pass before it asks again. */
const watchMs = 10_000;
const changesMs = 200;

const countsOf = (job: JobRecord): string => `${job.tally.join()},${job.reused},${job.executed},${job.retried}`;

/** The client has been told the status, as it is now, or is being told it. */
export function watch({ watches, nowMs }: State, job: JobRecord, client: ClientId): void {
  const watched = watches.jobs.get(job.id) ?? { clients: new Map(), counts: countsOf(job) };
  if (!watched.clients.has(client)) {
    if (watches.count >= limits.watchesMax) return;
    watches.count++;
  }
  watched.clients.set(client, nowMs + watchMs);
  watches.jobs.set(job.id, watched);
  watches.nextMs = Math.min(watches.nextMs, nowMs + changesMs);
}

/** V2. Jobs that were forgotten, and clients that have not asked again, are followed no more. */
export function sendChanges(ctx: Context): void {
  const { watches, jobs, nowMs } = ctx.state;
  for (const [id, watched] of watches.jobs) {
    for (const [client, untilMs] of watched.clients) if (untilMs <= nowMs) forget(watches, watched, client);
    const job = jobs.get(id);
    if (job === undefined || watched.clients.size === 0) {
      drop(watches, id, watched);
      continue;
    }
    const counts = countsOf(job);
    if (counts !== watched.counts) send(ctx, job, watched);
    watched.counts = counts;
  }
  watches.nextMs = watches.jobs.size === 0 ? Number.POSITIVE_INFINITY : nowMs + changesMs;
}

/** The job has just ended. */
export function sendEnd(ctx: Context, job: JobRecord): void {
  const watched = ctx.state.watches.jobs.get(job.id);
  if (!watched) return;
  send(ctx, job, watched);
  drop(ctx.state.watches, job.id, watched);
}

function send(ctx: Context, job: JobRecord, { clients }: Watched): void {
  const status = jobStatusOf(job);
  for (const client of clients.keys()) ctx.out.push({ c: "status", client, status, gated: true });
}

function forget(watches: Watches, { clients }: Watched, client: ClientId): void {
  if (clients.delete(client)) watches.count--;
}

function drop(watches: Watches, id: JobId, watched: Watched): void {
  watches.count -= watched.clients.size;
  watches.jobs.delete(id);
}
