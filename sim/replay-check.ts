/** Recovery, and I9: the replay of the journal, from its first entry, gives the state that somebody has. */
import { sha256Hex } from "../proto/digest.js";
import type { Epoch } from "../proto/ids.js";
import {
  applyRecord,
  checkInvariants,
  createState,
  restore,
  type SnapshotData,
  type State,
  snapshot,
} from "../scheduler/core/index.js";
import { offload } from "./blob-shelf.js";
import { packPlain, unpackPlain } from "./disk.js";
import { Violation } from "./job-model.js";
import type { World } from "./world.js";

export function compareWithReplay({ disk, counts }: World, state: State, what: string): void {
  counts.replayChecks++;
  const replayed = createState({ epoch: 0 as Epoch });
  for (let seq = 0; seq < disk.entries.length; seq++)
    for (const record of disk.read(seq)) applyRecord(replayed, record);
  const a = packPlain(snapshot(state));
  const b = packPlain(snapshot(replayed));
  if (Buffer.compare(a, b) === 0) return;
  const hashes = `${sha256Hex(a).slice(0, 12)} and ${sha256Hex(b).slice(0, 12)}`;
  throw new Violation(
    "I9",
    `${what} and the replay of the journal differ (${hashes}): ${firstDifference(snapshot(state), snapshot(replayed))}`,
  );
}

/** The state that snapshot and journal give, and the latest time that a record speaks of. */
export function replay(
  world: World,
  used: { readonly seq: number; readonly data: Uint8Array } | undefined,
): { state: State; atMs: number } {
  const { disk, plant, counts } = world;
  let state = createState({ epoch: 0 as Epoch, offload });
  if (used) {
    counts.restores++;
    const { epoch, data } = unpackPlain(used.data) as { epoch: Epoch; data: SnapshotData };
    state = restore(data, { epoch, offload });
  }
  const from = used?.seq ?? 0;
  let entries = Array.from({ length: disk.entries.length - from }, (_, i) => disk.read(from + i));
  if (plant?.replayed) entries = plant.replayed(entries);
  let atMs = 0;
  for (const record of entries.flat()) {
    applyRecord(state, record);
    if ("atMs" in record) atMs = Math.max(atMs, record.atMs);
  }
  checkInvariants(state);
  if (used) compareWithReplay(world, state, "a snapshot and the entries behind it");
  return { state, atMs };
}

/** The path of the first place where two plain values differ. */
function firstDifference(a: unknown, b: unknown, path = "state"): string {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null)
    return Object.is(a, b) ? "" : `${path}: ${String(a)} and ${String(b)}`;
  const [x, y] = [
    Object.entries(a instanceof Map ? Object.fromEntries(a) : a),
    Object.entries(b instanceof Map ? Object.fromEntries(b) : b),
  ];
  if (x.map(([key]) => key).join() !== y.map(([key]) => key).join())
    return `${path} has the keys ${x
      .map(([key]) => key)
      .join()
      .slice(0, 200)} and ${y
      .map(([key]) => key)
      .join()
      .slice(0, 200)}`;
  for (const [i, [key, value]] of x.entries()) {
    const found = firstDifference(value, y[i]?.[1], `${path}.${key}`);
    if (found !== "") return found;
  }
  return "";
}
