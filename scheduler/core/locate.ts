/** Where objects are: put, inline in a result, held by workers, or in the durable store. */
import { type ObjectBase, type ObjectId, splitObjectId, type WorkerId } from "../../proto/ids.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import { sameBytes } from "../../proto/same-bytes.js";
import { PackReader } from "../../proto/values/pack.js";
import type { HeldLocation, HeldSegment, PutFacts } from "./events.js";
import { sourceOf } from "./links.js";
import { isAwaited } from "./silence.js";
import { isTerminal, type PutRecord, type StageRecord, type State, type TaskState, taskState } from "./state.js";

const holdersOf = (state: State, id: ObjectId): WorkerId[] => [...(state.holders.get(id) ?? [])];

/** What is known of an object. `unknown`: nothing, or every copy is gone. */
export function locate(state: State, id: ObjectId): HeldLocation {
  const put = state.puts.get(id);
  if (put) return locatePut(state, put);
  const source = sourceOf(state, id);
  if (!source) return { id, state: "unknown" };
  return locateResult(state, source.stage, source.task, id);
}

function locatePut(state: State, put: PutRecord): HeldLocation {
  const { facts, durable } = put;
  const { id, kind, bytes, digest } = facts;
  if (facts.inline) return { id, state: "ready", kind, bytes, digest, inline: facts.inline };
  if (facts.chunk) return { id, state: "ready", chunk: facts.chunk };
  const workers = holdersOf(state, id);
  if (workers.length === 0 && !durable) return { id, state: isAwaited(state, put) ? "pending" : "unknown" };
  return { id, state: "ready", kind, bytes, digest, workers, durable };
}

/** The location of one task's result. */
export function locateResult(state: State, stage: StageRecord, task: number, id: ObjectId): HeldLocation {
  const segment = stage.results.at(task);
  if (!segment) {
    if (stage.states.at(task) === taskState.cancelled)
      return {
        id,
        state: "failed",
        error: { code: "CANCELLED", message: `task ${task} of stage ${stage.index} was cancelled` },
      };
    return { id, state: isTerminal(stage.states.at(task) as TaskState) ? "unknown" : "pending" };
  }
  switch (segment.r) {
    case "failed":
      return { id, state: "failed", error: segment.error };
    case "chunk":
      return { id, state: "ready", chunk: { blob: segment.blob, of: segment.of, task } };
    case "inline": {
      const value = PackReader.trusted(segment.pack).at(task - segment.from);
      return { id, state: "ready", kind: value.kind, bytes: value.data.byteLength, inline: value.data };
    }
    case "stored":
      return locateStored(state, stage, segment, task, id);
  }
}

function locateStored(
  state: State,
  stage: StageRecord,
  segment: Extract<ResultSegment, { r: "stored" }>,
  task: number,
  id: ObjectId,
): HeldLocation {
  const stored = segment.stored[task - segment.from];
  const workers = holdersOf(state, id);
  const durable =
    stage.job.kind === "durable" ||
    (workers.length === 0 && stored !== undefined && isDurablyMade(state, id, stored.digest));
  if (!stored || (workers.length === 0 && !durable)) return { id, state: "unknown" };
  return {
    id,
    state: "ready",
    kind: stored.kind,
    bytes: stored.bytes,
    digest: stored.digest,
    workers,
    durable,
  };
}

/** Of the stages of this content those of durable jobs that have results. */
function* durableStages(state: State, base: ObjectBase): Generator<StageRecord> {
  for (const stage of state.catalog.made(base)) if (stage.job.kind === "durable") yield stage;
}

/** Whether a durable job has committed these bytes under this id: then the durable store has them. */
export function isDurablyMade(state: State, id: ObjectId, digest: Uint8Array): boolean {
  const { base, index } = splitObjectId(id);
  for (const stage of durableStages(state, base)) {
    const segment = stage.results.at(index);
    const found = segment?.r === "stored" ? segment.stored[index - segment.from]?.digest : undefined;
    if (found && sameBytes(found, digest)) return true;
  }
  return false;
}

/**
 * What a worker's copy is worth: the object itself; another content of its id; the result of a task that has none yet;
 * or nothing that anybody knows.
 */
export function standingOf(
  state: State,
  object: { id: ObjectId; digest: Uint8Array },
): "object" | "other" | "uncommitted" | "unknown" {
  const put = state.puts.get(object.id);
  if (put) return sameBytes(put.facts.digest, object.digest) ? "object" : "other";
  const { base, index } = splitObjectId(object.id);
  if (!state.catalog.has(base)) return "unknown";
  let standing: "uncommitted" | "other" = "uncommitted";
  for (const stage of state.catalog.of(base)) {
    const segment = stage.results.at(index);
    // A failure, or a cancel, says nothing of what the bytes are.
    if (!segment || segment.r === "failed") continue;
    const digest = segment.r === "stored" ? segment.stored[index - segment.from]?.digest : undefined;
    if (digest && sameBytes(digest, object.digest)) return "object";
    // One client's word does not make what workers have made for others something else.
    if (!stage.ownOnly || !state.catalog.isShared(base)) standing = "other";
  }
  return standing;
}

/**
 * Whether a result of `from` may serve a stage of another job without executing: it is durable where that is needed,
 * and is there.
 */
export function isReusable(state: State, source: StageRecord, segment: HeldSegment, durableNeeded: boolean): boolean {
  if (segment.r === "failed" || source.ownOnly) return false;
  if (durableNeeded) return source.job.kind === "durable";
  if (segment.r !== "stored") return true;
  for (let i = segment.from; i < segment.to; i++) {
    const { base } = source;
    if (!state.holders.get(`${base}-${i}` as ObjectId)?.size) return false;
  }
  return true;
}

/**
 * The facts of an object that a durable job may rely on: its bytes, or that the durable store has it. undefined: it is
 * neither.
 */
export function durableFacts(state: State, id: ObjectId): PutFacts | undefined {
  const put = state.puts.get(id);
  if (put)
    return put.durable || put.facts.inline || (put.facts.chunk && state.blobs.get(put.facts.chunk.blob)?.durable)
      ? put.facts
      : undefined;
  const { base, index } = splitObjectId(id);
  // Not the first that made it: that may be a session's, whose results end with it.
  for (const stage of durableStages(state, base))
    if (stage.states.at(index) === taskState.succeeded) return factsOf(locateResult(state, stage, index, id));
  return undefined;
}

function factsOf(location: HeldLocation): PutFacts | undefined {
  const { id } = location;
  if (location.chunk) return { id, kind: 0, bytes: 0, digest: new Uint8Array(16), chunk: location.chunk };
  if (location.state !== "ready" || location.kind === undefined || location.bytes === undefined) return undefined;
  const digest = location.digest ?? new Uint8Array(16);
  return {
    id,
    kind: location.kind,
    bytes: location.bytes,
    digest,
    ...(location.inline ? { inline: location.inline } : {}),
  };
}

/** The base's objects are of no more use when no stage known has the base. */
export const isBaseKnown = (state: State, id: ObjectId): boolean =>
  state.catalog.has(splitObjectId(id).base) || state.puts.has(id);
