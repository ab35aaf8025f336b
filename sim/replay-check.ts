/** I9: the replay of the journal, from its first entry, gives the state that somebody has. */
import { Packr } from "msgpackr";
import { sha256Hex } from "../proto/digest.js";
import type { Epoch } from "../proto/ids.js";
import { applyRecord, createState, type State, snapshot } from "../scheduler/core/index.js";
import { EntryReader } from "../scheduler/shell/journal-format.js";
import { Violation } from "./job-model.js";
import type { World } from "./world.js";

const packr = new Packr({ useRecords: false });

/** Plain data as it would lie on a disk. */
const packPlain = (data: unknown): Uint8Array => packr.pack(data);

export function compareWithReplay({ disk, counts }: World, state: State, what: string): void {
  counts.replayChecks++;
  const replayed = createState({ epoch: 0 as Epoch });
  const reader = new EntryReader();
  for (const { seq, data } of disk.entries) for (const record of reader.read(seq, data)) applyRecord(replayed, record);
  const a = packPlain(snapshot(state));
  const b = packPlain(snapshot(replayed));
  if (Buffer.compare(a, b) === 0) return;
  const hashes = `${sha256Hex(a).slice(0, 12)} and ${sha256Hex(b).slice(0, 12)}`;
  throw new Violation(
    "I9",
    `${what} and the replay of the journal differ (${hashes}): ${firstDifference(snapshot(state), snapshot(replayed))}`,
  );
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
