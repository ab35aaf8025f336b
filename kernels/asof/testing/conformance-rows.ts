/**
 * The joins against pandas, polars and DuckDB: what bench/peers/asof_fixtures.py has kept of their answers, for the
 * tests.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Int32, Table, Utf8, vectorFromArray } from "apache-arrow";
import { type ConformanceRow, Differences } from "../../testing/conformance.js";
import { asofJoin } from "../join.js";
import { asofPit } from "../pit.js";

type PeerName = "pandas" | "polars" | "DuckDB";

export interface PeerCase<Rows> {
  readonly peer: PeerName;
  /** DuckDB's inequality. */
  readonly form?: string;
  readonly options: { readonly direction: string; readonly exact: boolean; readonly tolerance?: number };
  readonly rows: Rows;
}

interface Feed {
  readonly name: string;
  readonly leastStep: number;
  readonly rows: number;
  readonly cases: readonly PeerCase<string>[];
  readonly twoAxes: { readonly rows: string };
}

interface Fixture {
  readonly versions: Readonly<Record<PeerName, string>>;
  readonly sets: readonly {
    readonly name: string;
    readonly left: { readonly t: number[]; readonly k: string[] };
    readonly right: { readonly t: number[]; readonly k: string[] };
    readonly cases: readonly PeerCase<(number | null)[]>[];
  }[];
  readonly feeds: readonly Feed[];
}

/** Fixtures are not copied to dist. */
export const peerFixture = (): Fixture =>
  JSON.parse(readFileSync(new URL("../../../../kernels/asof/fixtures/peers.json", import.meta.url), "utf8")) as Fixture;

/** The conventions of each peer as our options. DuckDB states none for ties, and its fixtures have none. */
export function conventionOf(peer: PeerName, direction: string): { readonly ties?: string; readonly midway?: string } {
  if (peer === "pandas") return { ties: "adjacent" };
  if (peer === "polars") return direction === "nearest" ? { ties: "last", midway: "later" } : { ties: "adjacent" };
  return {};
}

export function tableOf(side: {
  readonly t: readonly number[];
  readonly k: readonly string[];
  readonly known?: readonly number[];
}): Table {
  const integers = (values: readonly number[]) => vectorFromArray(values, new Int32());
  return new Table({
    t: integers(side.t),
    k: vectorFromArray(side.k, new Utf8()),
    known: integers(side.known ?? side.t),
    row: integers(side.t.map((_, i) => i)),
  });
}

/** A table of the script's `feed`: the same numbers from the same congruence. */
function feed(seed: number, { rows, leastStep }: Feed, only: string): Table {
  let state = seed;
  const below = (bound: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 16) % bound;
  };
  const made = { t: [] as number[], k: [] as string[], known: [] as number[] };
  let time = 0;
  for (let i = 0; i < rows; i++) {
    time += leastStep + below(4);
    const key = below(6);
    made.t.push(time);
    made.k.push(key === 5 ? only : `K${key}`);
    made.known.push(time + below(200) - 20);
  }
  return tableOf(made);
}

const rowsOf = (joined: unknown): Int32Array =>
  Int32Array.from([...((joined as Table).getChild("row") ?? [])], (row) => (row as number | null) ?? -1);
const digestOf = (rows: Int32Array): string => createHash("sha256").update(new Uint8Array(rows.buffer)).digest("hex");

/** All rows are the same if the digests are; if not, it is unknown how many differ. */
function differencesOf(rows: Int32Array, digest: string): Differences {
  const differences = new Differences();
  differences.add(rows, digestOf(rows) === digest ? rows : rows.map((row) => row + 1_000_000), true);
  return differences;
}

const named = (options: Readonly<Record<string, unknown>>): string =>
  Object.entries(options)
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(", ");

function peerCall({ peer, form, options: { direction, exact, tolerance } }: PeerCase<string>): string {
  if (peer === "DuckDB") return `ASOF LEFT JOIN … ON l.t ${form} r.t`;
  const call = peer === "pandas" ? `merge_asof(direction="${direction}"` : `join_asof(strategy="${direction}"`;
  return `${call}${exact ? "" : ", allow_exact_matches=False"}${tolerance === undefined ? "" : `, tolerance=${tolerance}`})`;
}

export function asofConformance(): ConformanceRow[] {
  const { versions, feeds } = peerFixture();
  return feeds.flatMap((given) => {
    const left = feed(1, given, "left only");
    const right = feed(2, given, "right only");
    const columns = { by: "k", columns: ["row"], keep: [] };
    const rows = given.cases.map((one): ConformanceRow => {
      const options = { ...one.options, ...conventionOf(one.peer, one.options.direction) };
      const ours = rowsOf(asofJoin.run(left, right, { on: "t", ...columns, ...options }));
      const shown = {
        kernel: asofJoin.name,
        option: `${named(options)} (${given.name})`,
        peer: `${one.peer} ${versions[one.peer]}`,
        peerOption: peerCall(one),
      };
      return { ...shown, ...differencesOf(ours, one.rows).result() };
    });
    const two = rowsOf(asofPit.run(left, right, { time: "t", event: "t", ...columns }));
    const shown = {
      kernel: asofPit.name,
      option: `– (${given.name})`,
      peer: `DuckDB ${versions.DuckDB}`,
      peerOption: "JOIN … QUALIFY row_number() = 1",
    };
    return [...rows, { ...shown, ...differencesOf(two, given.twoAxes.rows).result() }];
  });
}
