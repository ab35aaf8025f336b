/**
 * As-of joins on DuckDB's own benchmark of its: 100,000 minutes by 50 keys, a probe of every other key half a minute
 * earlier, and the sum of what it finds. Our tables are ordered by time, then key: the order of a feed, and the dearer
 * one for us.
 */
import { Int64, makeData, Table, TimestampMicrosecond, Vector } from "apache-arrow";
import { requireKernel } from "volley/kernels";
import { startPeer } from "../peers/peer.js";
import { type Measure, measure } from "../report.js";

const minutes = 100_000;
const keys = 50;
const rows = minutes * keys;
const halfMinuteUs = 30_000_000n;
const minuteUs = 60_000_000n;

interface Input {
  readonly probe: Table;
  readonly build: Table;
  /**
   * `build` with the time at which each row became known: 15, 55 or 95 seconds later, so that rows become known out of
   * order.
   */
  readonly facts: Table;
}

function input(): Input {
  const array = (value: (minute: number, key: number) => bigint): BigInt64Array => {
    const values = new BigInt64Array(rows);
    for (let i = 0; i < rows; i++) values[i] = value(Math.floor(i / keys), i % keys);
    return values;
  };
  const integers = (data: BigInt64Array): Vector =>
    new Vector([makeData({ type: new Int64(), length: rows, nullCount: 0, data })]);
  const instants = (data: BigInt64Array): Vector =>
    new Vector([makeData({ type: new TimestampMicrosecond(), length: rows, nullCount: 0, data })]);
  const start = BigInt(Date.UTC(2001, 0, 1)) * 1_000n;
  const at = (minute: number): bigint => start + BigInt(minute) * minuteUs;
  const k = integers(array((_, key) => BigInt(key)));
  const t = instants(array(at));
  const v = integers(array(BigInt));
  const known = instants(array((minute) => at(minute) + 15_000_000n + BigInt((minute * 7) % 3) * 40_000_000n));
  const probe = new Table({
    k: integers(array((_, key) => BigInt(key * 2))),
    t: instants(array((minute) => at(minute) - halfMinuteUs)),
  });
  return { probe, build: new Table({ k, t, v }), facts: new Table({ k, t, known, v }) };
}

/** Of a column of integers; nulls are stored as zero. */
function sumOf(table: Table, column: string): number {
  const [data] = table.getChild(column)?.data ?? [];
  if (!data) return 0;
  const { buffer, byteOffset, length } = data.values as BigInt64Array;
  const words = new Int32Array(buffer, byteOffset, length * 2);
  let sum = 0;
  for (let i = 0; i < words.length; i += 2) sum += (words[i + 1] as number) * 2 ** 32 + ((words[i] as number) >>> 0);
  return sum;
}

interface Timed {
  readonly ms: number;
  readonly total: number;
}

function timed(run: () => Table): Timed {
  const start = performance.now();
  const total = sumOf(run(), "v");
  return { ms: performance.now() - start, total };
}

/**
 * The same columns as another table: a right table that was joined before is still prepared, and the peer begins anew
 * every time.
 */
const unprepared = ({ schema, batches }: Table): Table => new Table(schema, batches);

/** One axis beside DuckDB, two axes beside one. Repeats are interleaved; without VOLLEY_PEERS_PYTHON ours alone. */
export async function asofMeasures({ repeats }: { repeats: number }): Promise<Measure[]> {
  const python = process.env.VOLLEY_PEERS_PYTHON;
  const peer = python ? await startPeer(python, "asof_duckdb.py") : undefined;
  try {
    await peer?.ask({ measure: "prepare", minutes, keys });
    const { probe, build, facts } = input();
    const [join, pit] = [requireKernel("asof.join", 1), requireKernel("asof.pit", 1)];
    const options = { by: "k", columns: ["v"], keep: [] };
    const one = (): Timed => timed(() => join.run(probe, unprepared(build), { ...options, on: "t" }) as Table);
    const two = (): Timed =>
      timed(() => pit.run(probe, unprepared(facts), { ...options, time: "t", event: "t" }) as Table);
    const times: { one: number[]; two: number[]; peer: number[] } = { one: [], two: [], peer: [] };
    // The first round lets the compiler see all of it.
    one();
    two();
    for (let repeat = 0; repeat < repeats; repeat++) {
      // Who comes second pays for the first one's garbage: they take turns.
      const early = repeat % 2 === 1 ? two() : undefined;
      const ours = one();
      times.one.push(ours.ms);
      times.two.push((early ?? two()).ms);
      const theirs = await peer?.ask<Timed>({ measure: "join" });
      if (!theirs) continue;
      times.peer.push(theirs.ms);
      if (theirs.total !== ours.total) throw new Error(`the peer's sum is ${theirs.total}, ours ${ours.total}`);
    }
    return [
      measure("as-of join, 5,000,000 x 5,000,000 rows, 50 keys", "ms", times.one, {
        better: "lower",
        ...(peer ? { peer: peer.name, peerRepeats: times.peer } : {}),
        note: "the same sum of the joined column on both sides",
      }),
      measure("as-of join on two axes, the same tables", "ms", times.two, {
        better: "lower",
        peer: "asof.join, this run",
        peerRepeats: times.one,
        note: "a ratio of 0.667 is 1.5 times as long as on one axis; a third of the rows becomes known after the next one",
      }),
    ];
  } finally {
    await peer?.stop();
  }
}
