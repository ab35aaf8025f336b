/**
 * Small results leave the heap: once a job has enough of them, they become a blob in a store of the shell's, and the
 * core keeps a handle (a chunk).
 *
 * O1 Of a durable job, a blob's name is in the journal before the blob is written (`offload`), and again when results
 * stand in it (`chunk`), and
 *    again when it is deleted (`dropped`). So whatever a crash leaves is known: a blob that nothing durable names is
 * deleted at the next sweep. O2 A name is minted once (epoch and counter), so a blob that is being deleted is never one
 * that is about to be named. O3 Blobs of sessions are of this scheduler's life only, in a store that every start
 * empties; their records are applied and not written. O4 A blob is kept while anything names it, also results of other
 * jobs that were taken from it.
 */
import type { BlobRefs, ChunkSegment, InlineSegment } from "./events.js";
import { segmentBytes, write } from "./records.js";
import { heapBytesOf } from "./segments.js";
import { type Context, isStageComplete, type JobRecord, type StageRecord, type State } from "./state.js";

/** Durable or of a session: said by the first letter, so that everybody knows the store. */
const blobOf = (state: State, durable: boolean): string =>
  `${durable ? "r" : "t"}${state.epoch}.${++state.blobCounter}`;
export const isDurableBlob = (blob: string): boolean => blob.startsWith("r");

/** After results of a job came, or its end: whether some of them should leave the heap now. */
export function considerOffload(ctx: Context, job: JobRecord): void {
  const { state } = ctx;
  if (job.offloading || job.looseBytes < thresholdOf(state, job)) return;
  const segments = choose(state, job);
  if (segments.length === 0) return;
  const blob = blobOf(state, job.kind === "durable");
  write(ctx, { k: "offload", blob }, job.kind === "durable");
  setBusy(state.blobs.get(blob), true);
  job.offloading = { blob, segments };
  ctx.out.push({ c: "offload", job: job.id, blob, segments, gated: true });
}

function thresholdOf(state: State, job: JobRecord): number {
  const { offload } = state;
  const pressed = state.looseBytes > offload.allBytes;
  if (job.kind !== "durable") return pressed ? offload.sessionBytes / 8 : offload.sessionBytes;
  if (job.state !== "running") return offload.endedBytes;
  return pressed ? offload.chunkBytes / 8 : offload.chunkBytes;
}

/** Runs of inline results, up to four chunks' worth, in the order of stages and tasks. */
function choose(state: State, job: JobRecord): InlineSegment[] {
  const most = 4 * state.offload.chunkBytes;
  const chosen: InlineSegment[] = [];
  let bytes = 0;
  const pressed = state.looseBytes > state.offload.allBytes;
  for (const stage of job.stages.values()) {
    if (stage.looseBytes === 0 || (!pressed && job.state === "running" && isWanted(state, stage))) continue;
    for (const segment of stage.results) {
      if (segment.r !== "inline") continue;
      chosen.push(segment);
      bytes += heapBytesOf(segment);
      if (bytes >= most) return chosen;
    }
  }
  // What was held back may be most of it; a blob for the rest is not worth its name.
  return bytes >= thresholdOf(state, job) / 2 ? chosen : [];
}

/** How many stages of one content are asked whether they are still to come. */
const sharersAsked = 8;

/** Stages that read it go faster with the results at hand; stages of the same content are compared with them. */
function isWanted(state: State, stage: StageRecord): boolean {
  if (stage.openDependents > 0) return true;
  if (!state.catalog.isShared(stage.base)) return false;
  let asked = 0;
  for (const other of state.catalog.of(stage.base)) {
    if (other !== stage && other.job.state === "running" && !isStageComplete(other)) return true;
    if (++asked === sharersAsked) break;
  }
  return false;
}

/** The shell has written the blob, or could not. */
export function onOffloaded(ctx: Context, event: { job: JobRecord["id"]; blob: string; ok: boolean }): void {
  const { state } = ctx;
  const job = state.jobs.get(event.job);
  setBusy(state.blobs.get(event.blob), false);
  if (job?.offloading?.blob !== event.blob) return;
  const { segments } = job.offloading;
  job.offloading = undefined;
  // A failed one is tried again by the sweep, under another name.
  if (!event.ok) return;
  const parts = partsOf(job, event.blob, segments);
  if (parts.length === 0) return;
  write(ctx, { k: "chunk", job: job.id, parts }, job.kind === "durable");
  considerOffload(ctx, job);
}

/** Consecutive runs of one stage become one chunk; what was dropped meanwhile is left out. */
function partsOf(job: JobRecord, blob: string, segments: readonly InlineSegment[]): ChunkSegment[] {
  const parts: ChunkSegment[] = [];
  for (const segment of segments) {
    const stage = job.stages.get(segment.stage);
    if (stage?.results.at(segment.from) !== segment) continue;
    const bytes = segmentBytes(segment);
    const last = parts.at(-1);
    if (last && last.of === segment.stage && last.to === segment.from) {
      last.to = segment.to;
      last.bytes += bytes;
    } else
      parts.push({
        r: "chunk",
        stage: segment.stage,
        from: segment.from,
        to: segment.to,
        blob,
        of: segment.stage,
        bytes,
      });
  }
  return parts;
}

/** Blobs that nothing names (any more) are deleted; also those that a crash left between two records (O1). */
export function dropBlobs(ctx: Context): void {
  const blobs: string[] = [];
  for (const [blob, refs] of ctx.state.blobs) {
    if (refs.busy || refs.durable + refs.sessions > 0) continue;
    refs.busy = true;
    blobs.push(blob);
  }
  if (blobs.length > 0) ctx.out.push({ c: "drop", blobs, gated: true });
}

/** The shell has deleted them, or some of them. */
export function onDropped(ctx: Context, blobs: readonly string[], ok: boolean): void {
  for (const durable of [true, false]) {
    const of = blobs.filter((blob) => isDurableBlob(blob) === durable);
    if (ok && of.length > 0) write(ctx, { k: "dropped", blobs: of }, durable);
  }
  if (!ok) for (const blob of blobs) setBusy(ctx.state.blobs.get(blob), false);
}

function setBusy(refs: BlobRefs | undefined, busy: boolean): void {
  if (refs) refs.busy = busy;
}

/** Twice a second: what was not done at the time, be it for a failure or because a restart came between. */
export function sweepResults(ctx: Context): void {
  for (const job of ctx.state.jobs.values()) if (job.looseBytes > 0) considerOffload(ctx, job);
  if (ctx.state.blobs.size > 0) dropBlobs(ctx);
}
