/** What a lease reads: where each input is, and how much of a worker's store they take together. */

import { leavesOf } from "../../proto/args.js";
import { type Taken, takenBy } from "../../proto/each.js";
import { type ObjectId, objectIdOf, splitObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ObjectLocation } from "../../proto/messages/results.js";
import type { HeldLocation } from "./events.js";
import { objectOf } from "./job-record.js";
import { upstreamAt, upstreamsOfBase } from "./links.js";
import { locate, locateResult } from "./locate.js";
import { storeBytes } from "./segments.js";
import type { StageRecord, State } from "./state.js";

const inputsPerLeaseMax = 1_024;

export interface Gathered {
  inputs: ObjectLocation[];
  /** End of the range whose inputs fit into one message. */
  to: number;
  /** What a task needs in a store at once is more than that has. */
  tooLarge?: { bytes: number; perTask: boolean };
  /** `pending`: it is not there yet, or not there again. */
  lost?: { id: ObjectId; perTask: boolean; pending: boolean };
}

/**
 * Where the lease's inputs are; those in blobs are left to the worker, which asks. Lists of whole stages (`all`) are
 * left to the worker, which asks for the results once and keeps them. `room`: of the worker's store; the inputs of all
 * tasks of a lease are in it at the same time.
 */
export function gatherInputs(
  state: State,
  stage: StageRecord,
  from: number,
  to: number,
  room = Number.POSITIVE_INFINITY,
): Gathered {
  const inputs = new Map<ObjectId, ObjectLocation>();
  const shared: ObjectId[] = [];
  const perTask: ((task: number) => HeldLocation)[] = [];
  let lists: Set<StageRecord> | undefined;
  for (const arg of leavesOf(stage.spec.args)) {
    if (arg.a === "each") perTask.push((task) => locateTaken(state, stage, takenBy(arg.of, task)));
    else if (arg.a === "object") shared.push(arg.id);
    else if (arg.a === "items") shared.push(arg.object);
    else if (arg.a === "task" || arg.a === "stage") {
      const upstream = upstreamAt(stage, arg.stage);
      if (upstream && arg.a === "stage" && arg.edge === "all") {
        lists ??= new Set();
        lists.add(upstream);
      } else if (upstream && arg.a === "stage" && arg.edge === "one-to-one")
        perTask.push((task) => locateResult(state, upstream, task, objectIdOf(upstream.base, task)));
      else if (upstream) shared.push(objectIdOf(upstream.base, arg.a === "task" ? arg.task : 0));
    }
  }
  const counted = new Set<ObjectId>();
  let stored = 0;
  for (const { results } of lists ?? []) stored += results.storedBytes;
  for (const id of shared) {
    if (counted.has(id)) continue;
    counted.add(id);
    const location = locateInput(state, stage, id);
    if (location.state !== "ready")
      return { inputs: [], to, lost: { id, perTask: false, pending: location.state === "pending" } };
    // Of very many the worker asks for the rest, in questions of a size that leaves room for those of others.
    if (!location.chunk && inputs.size < inputsPerLeaseMax) inputs.set(id, location);
    stored += roomOf(location);
  }
  if (stored > room) return { inputs: [], to, tooLarge: { bytes: stored, perTask: false } };
  let bytes = 0;
  for (let task = from; task < to && perTask.length > 0; task++) {
    const found: HeldLocation[] = [];
    for (const locationOf of perTask) {
      const location = locationOf(task);
      const { id } = location;
      if (location.state !== "ready") {
        if (task > from) return { inputs: [...inputs.values()], to: task };
        return { inputs: [], to, lost: { id, perTask: true, pending: location.state === "pending" } };
      }
      found.push(location);
      bytes += 64 + (location.inline?.byteLength ?? 0);
      stored += roomOf(location);
    }
    if (stored > room)
      return task > from
        ? { inputs: [...inputs.values()], to: task }
        : { inputs: [], to, tooLarge: { bytes: stored, perTask: true } };
    for (const location of found) if (!location.chunk) inputs.set(location.id, location);
    if (inputs.size > inputsPerLeaseMax || bytes > limits.messageBytesMax / 2)
      return { inputs: [...inputs.values()], to: task + 1 };
  }
  return { inputs: [...inputs.values()], to };
}

/**
 * An input of the whole stage: through its link if it has one (its stage may have left the catalog), otherwise what is
 * known of the id.
 */
function locateInput(state: State, stage: StageRecord, id: ObjectId): HeldLocation {
  const facts = objectOf(stage.job, id);
  if (facts?.inline)
    return { id, state: "ready", kind: facts.kind, bytes: facts.bytes, digest: facts.digest, inline: facts.inline };
  if (facts?.chunk) return { id, state: "ready", chunk: facts.chunk };
  if (facts)
    return {
      id,
      state: "ready",
      kind: facts.kind,
      bytes: facts.bytes,
      digest: facts.digest,
      workers: [...(state.holders.get(id) ?? [])],
      durable: true,
    };
  const { base, index } = splitObjectId(id);
  // One of them may be making it again while another has it.
  let found: HeldLocation | undefined;
  for (const upstream of upstreamsOfBase(stage, base)) {
    const location = locateResult(state, upstream, index, id);
    if (location.state === "ready") return location;
    if (found?.state !== "pending") found = location;
  }
  return found ?? locate(state, id);
}

function locateTaken(state: State, stage: StageRecord, taken: Taken): HeldLocation {
  if ("id" in taken) return locateInput(state, stage, taken.id);
  const upstream = upstreamAt(stage, taken.stage) as StageRecord;
  return locateResult(state, upstream, taken.task, objectIdOf(upstream.base, taken.task));
}

const roomOf = (location: ObjectLocation): number =>
  location.inline || location.bytes === undefined ? 0 : storeBytes(location.bytes);
