/**
 * What a client of a session that was opened again tells the scheduler of its stages: the results that it was shown, as
 * client/sdk does. They stay, and only what is open is executed.
 */
import type { ClientId, JobId, ObjectBase } from "../proto/ids.js";
import type { ClientRequestOf } from "../proto/messages/client.js";
import type { ResultSegment } from "../proto/messages/results.js";
import type { StageSpec } from "../proto/messages/stage.js";
import { SegmentTable, sliceSegment } from "../scheduler/core/segments.js";
import type { Asker } from "./asker.js";
import type { Random } from "./random.js";

type Resumed = ClientRequestOf<"resume">["stages"][number];

/** What a client has of one stage. */
export interface Shown {
  readonly spec: StageSpec;
  readonly base: ObjectBase;
  readonly results: SegmentTable;
  readonly complete: boolean;
}

/** Keeps the parts of the segment that are news. */
export function keepShown(results: SegmentTable, segment: ResultSegment): void {
  for (let at = segment.from; at < segment.to; ) {
    if (results.at(at)) {
      at++;
      continue;
    }
    let end = at + 1;
    while (end < segment.to && !results.at(end)) end++;
    results.insert(sliceSegment(segment, at, end));
    at = end;
  }
}

export const emptyShown = (): SegmentTable => new SegmentTable();

function* partsOf(random: Random, { spec, base, results, complete }: Shown): IterableIterator<Resumed> {
  const head = complete ? { spec: { ...spec, args: [] }, base } : { spec };
  let segments: ResultSegment[] = [];
  for (const segment of results) {
    if (segments.length > 0 && random.chance(0.2)) {
      yield { ...head, segments, last: false };
      segments = [];
    }
    // A client keeps what it was shown; only a scheduler keeps results elsewhere.
    segments.push(segment as ResultSegment);
  }
  yield { ...head, segments, last: true };
}

/**
 * Tells page by page, each until it is taken: what it reads may be under way, or lost and sent again after a beat.
 * `onEnd(false)`: the session is not known.
 */
export function retell(
  asker: Asker,
  random: Random,
  who: { client: ClientId; session: JobId },
  stages: readonly Shown[],
  onEnd: (told: boolean) => void,
): void {
  const pages: Resumed[][] = [[]];
  for (const stage of stages) {
    for (const part of partsOf(random, stage)) {
      pages.at(-1)?.push(part);
      if (!part.last || random.chance(0.2)) pages.push([]);
    }
  }
  const next = (): void => {
    const page = pages.shift();
    if (!page) {
      onEnd(true);
      return;
    }
    if (page.length === 0) {
      next();
      return;
    }
    asker.ask(
      () => ({ t: "resume", ...who, stages: page }),
      (reply) => {
        if (reply.t === "error" && reply.error.code === "INVALID_GRAPH") return false;
        if (reply.t === "ok") next();
        else if (reply.t === "error" && reply.error.code === "JOB_NOT_FOUND") onEnd(false);
        else throw new RangeError(`a session's stages are not taken back: ${JSON.stringify(reply)}`);
        return true;
      },
    );
  };
  next();
}

/** What is missing of a stage that is settled in part, as a beat says it (M5). */
export function gapsOf(index: number, done: Uint8Array | undefined): [number, number[]][] {
  if (!done?.includes(1)) return [];
  const runs: number[] = [];
  for (let from = done.indexOf(0); from >= 0; from = done.indexOf(0, from)) {
    const end = done.indexOf(1, from);
    runs.push(from, end < 0 ? done.length : end);
    if (end < 0) break;
    from = end;
  }
  return [[index, runs]];
}
