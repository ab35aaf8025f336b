/**
 * What a journal cannot say of itself: that it is gone, or older than it was. The bucket of snapshots remembers: every
 * start leaves its epoch there, and a snapshot the entry up to which it was taken.
 *
 * J1 A journal that is empty, although there were starts or snapshots, was lost or made anew; one that ends before a
 * snapshot's entry came back from an
 *    older copy than its snapshots. Nobody starts from that: durable jobs would be forgotten in silence, and epochs
 * given out again. A person decides. J2 A journal that lacks only the epoch of a start has lost its last writes, as it
 * may in a power failure. It is gone on with, above that epoch, and said.
 */
import type { SchedulerStores } from "../../proto/durable/durable.js";
import { VolleyError } from "../../proto/errors.js";

const epochDigits = 10;
const markName = (epoch: number): string => `epoch-${String(epoch).padStart(epochDigits, "0")}`;
const markPattern = /^epoch-(\d{10})$/;
/** Also of a snapshot's parts. */
const snapshotPattern = /^snapshot-(\d{16})/;

export interface Remembered {
  /** Highest epoch of a start; 0: none is known. */
  readonly epoch: number;
  /** Last entry that is in a snapshot; 0: there is none. */
  readonly snapshotSeq: number;
  readonly names: readonly string[];
}

const numberIn = (pattern: RegExp, name: string): number => Number(pattern.exec(name)?.[1] ?? 0);

export async function remembered({ snapshots }: Pick<SchedulerStores, "snapshots">): Promise<Remembered> {
  const names = await snapshots.names();
  const highest = (pattern: RegExp): number => names.reduce((most, name) => Math.max(most, numberIn(pattern, name)), 0);
  return { epoch: highest(markPattern), snapshotSeq: highest(snapshotPattern), names };
}

/** To be called when the start's epoch is in the journal. Older marks go. */
export async function rememberEpoch(
  { snapshots }: Pick<SchedulerStores, "snapshots">,
  epoch: number,
  { names }: Remembered,
): Promise<void> {
  await snapshots.put(markName(epoch), new Uint8Array(0));
  for (const name of names) if (markPattern.test(name) && name !== markName(epoch)) await snapshots.delete(name);
}

/**
 * Fails with JOURNAL_LOST (J1), unless `accepted` names the very epoch that is lost: then what contradicts the journal
 * is deleted, and the start goes on with what the journal has, be it nothing. Gives the entry behind which it goes on
 * when all of them are gone; undefined: there are entries, or never were.
 */
export async function checkJournal(
  durable: SchedulerStores,
  known: Remembered,
  accepted: number,
): Promise<number | undefined> {
  const lastSeq = await durable.journal.lastSeq();
  const empty = await isEmpty(durable);
  const fault = faultOf(lastSeq, empty, known);
  if (fault === undefined) return undefined;
  // Without a mark (versions before had none) there is still something to name.
  const lost = Math.max(1, known.epoch);
  if (accepted !== lost) {
    throw new VolleyError(
      "JOURNAL_LOST",
      `${fault}. Restore NATS' storage from one backup, journal and snapshots together; or, to go on with ${empty ? "nothing" : "what the journal has"} and forget every durable job ` +
        `behind it, start the scheduler once with --accept-journal-loss ${lost}`,
      { details: { lastSeq, snapshotSeq: known.snapshotSeq, epoch: known.epoch } },
    );
  }
  for (const name of known.names)
    if (empty ? snapshotPattern.test(name) : numberIn(snapshotPattern, name) > lastSeq)
      await durable.snapshots.delete(name);
  return empty ? lastSeq : undefined;
}

async function isEmpty({ journal }: SchedulerStores): Promise<boolean> {
  for await (const _ of journal.read(0)) return false;
  return true;
}

function faultOf(lastSeq: number, empty: boolean, { epoch, snapshotSeq }: Remembered): string | undefined {
  const before = [
    epoch > 0 ? `a scheduler of epoch ${epoch} has written it` : "",
    snapshotSeq > 0 ? `there is a snapshot of its entry ${snapshotSeq}` : "",
  ];
  const proof = before.filter((text) => text !== "").join(" and ");
  if (empty && proof !== "") return `the journal is empty, but ${proof}: its stream was lost, purged or made anew`;
  if (empty && lastSeq > 0) return `the journal has had ${lastSeq} entries and has none: its stream was purged`;
  if (snapshotSeq > lastSeq)
    return `the journal ends at entry ${lastSeq}, but ${proof}: it was made anew, or came back from an older copy than its snapshots`;
  return undefined;
}
