/**
 * The table of docs/conformance.md: which option of which kernel is whose convention, and by how much the numbers differ. Each topic gives
 * its rows (features/conformance-rows.ts is one); conformance.test.ts writes the page and holds the limits.
 */
import { VolleyError } from "../../proto/errors.js";

export interface ConformanceRow {
  readonly kernel: string;
  /** Our parameters, as a user writes them. */
  readonly option: string;
  /** With its version. */
  readonly peer: string;
  /** The peer's call. */
  readonly peerOption: string;
  /** Largest absolute difference of values compared singly, in the unit of the output, where prices are not scaled. */
  readonly maxAbs: number;
  /** Largest difference of those, relative to the larger of the peer's value and a thousandth of the root mean square of its column. */
  readonly maxRel: number;
  /** The same of sums of blocks (conformance-blocks.ts); left out where everything is compared singly. */
  readonly blockAbs?: number;
  readonly blockRel?: number;
  /** Values compared: singly or in a block, or by there being none. */
  readonly n: number;
  /** Of those, compared singly. */
  readonly singly: number;
  /** Rows of data that they were made of; default: n. */
  readonly bars?: number;
  /** Values that one has and the other has not. */
  readonly nullsDiffer: number;
  /** Why it differs by more than rounding. */
  readonly note?: string;
  /** What a note excuses: the row must stay within it, whatever the page says. */
  readonly limits?: Limits;
}

export interface Limits {
  /** Of single values and of blocks. */
  readonly rel: number;
  readonly nullsDiffer: number;
}

/** A row above this relative difference needs a note that says why. */
export const unexplainedRelMax = 1e-9;

/** Rows of data that a row stands on at least. */
export const barsMin = 10_000;

/** Collects the differences of one row. */
export class Differences {
  #maxAbs = 0;
  #maxRel = 0;
  #blocks: { abs: number; rel: number } | undefined;
  #n = 0;
  #singly = 0;
  #nullsDiffer = 0;

  /** Values of the same bars, compared singly. `unscaled`: they count for the absolute difference. */
  add(ours: ArrayLike<number>, theirs: ArrayLike<number>, unscaled: boolean): void {
    if (ours.length !== theirs.length) throw new VolleyError("INTERNAL", `${ours.length} values against ${theirs.length}`);
    const present = Array.from(theirs).filter((x) => Number.isFinite(x));
    const floor = Math.sqrt(present.reduce((total, x) => total + x * x, 0) / Math.max(present.length, 1)) / 1_000;
    let nullsDiffer = 0;
    for (let i = 0; i < theirs.length; i++) {
      const [a, b] = [ours[i] as number, theirs[i] as number];
      if (Number.isNaN(a) !== Number.isNaN(b)) nullsDiffer++;
      if (Number.isNaN(a) || Number.isNaN(b) || a === b) continue;
      const difference = Math.abs(a - b);
      this.difference(difference, difference / Math.max(Math.abs(b), floor), unscaled);
    }
    this.count(theirs.length, theirs.length, nullsDiffer);
  }

  /** Of values that were compared elsewhere. */
  count(n: number, singly: number, nullsDiffer: number): void {
    this.#n += n;
    this.#singly += singly;
    this.#nullsDiffer += nullsDiffer;
  }

  difference(absolute: number, relative: number, unscaled: boolean): void {
    if (unscaled) this.#maxAbs = Math.max(this.#maxAbs, absolute);
    this.#maxRel = Math.max(this.#maxRel, relative);
  }

  /** As `difference`, of sums of blocks. */
  block(absolute: number, relative: number, unscaled: boolean): void {
    const { abs, rel } = this.#blocks ?? { abs: 0, rel: 0 };
    this.#blocks = { abs: unscaled ? Math.max(abs, absolute) : abs, rel: Math.max(rel, relative) };
  }

  result(): Pick<ConformanceRow, "maxAbs" | "maxRel" | "blockAbs" | "blockRel" | "n" | "singly" | "nullsDiffer"> {
    const blocks = this.#blocks ? { blockAbs: this.#blocks.abs, blockRel: this.#blocks.rel } : {};
    return { maxAbs: this.#maxAbs, maxRel: this.#maxRel, ...blocks, n: this.#n, singly: this.#singly, nullsDiffer: this.#nullsDiffer };
  }
}

/** The largest relative difference of single values and blocks. */
export const worstOf = ({ maxRel, blockRel = 0 }: Pick<ConformanceRow, "maxRel" | "blockRel">): number => Math.max(maxRel, blockRel);

const cell = (text: string): string => text.replaceAll("|", "\\|");
const size = (x: number): string => (x === 0 ? "0" : x.toExponential(1));

const introduction = `# Conformance

Which option of which kernel is whose convention. Written by \`npm run docs\` from the comparison that the tests make; the peers' values come from
running the peers (\`bench/peers/*_fixtures.py\`). Every row stands on at least ${barsMin.toLocaleString("en")} bars of each series.

- **bars**: the rows of data that were put through both, all scales and series together, and whose results were compared.
- **singly**: the results that were compared one by one. Where these are fewer than the results, a fixture keeps of each of the peer's columns where it has
  values, exactly; every 127th value; and of every block of 64 bars one exact sum of its values, weighted by position.
- **max abs**: the largest absolute difference of results compared singly, at scale 1, in the unit of the output.
- **max rel**: the largest difference of those, over all scales, relative to the larger of the peer's value and a thousandth of its column's root mean square.
- **block abs**, **block rel**: the same of the sums, taken as the difference of a single bar of the least weight: a bar that differs alone shows at its
  full size or up to 2.5 times that, and the rounding of 64 bars adds up.
- **nulls differ**: bars where one of the two has a value and the other has none.
- Features and signals run over 10,240 bars of a walk with suspensions, in which the price stands still for 60 bars.
- Of joins the results are the numbers of the rows that are taken, on two feeds of 12,000 rows, with ties and without: they are equal or they are not.
- Of panels the values are those of 44 symbols on 270 dates (10,526 rows), with ties, missing values, rows that are not there, symbols that come and go,
  and dates on which nothing varies. Where there is no value is compared row by row; the values by a weighted sum of every 64 of them, and every 127th
  by itself (\`worker/kernels/conformance-blocks.ts\`). \`n\` counts the rows.
- A row where nulls differ, or with a relative difference above ${unexplainedRelMax.toExponential(0)}, has a note that says why, and a limit of its own that the tests hold.
`;

export function renderConformance(rows: readonly ConformanceRow[]): string {
  const notes = rows.flatMap(({ note }) => note ?? []).filter((note, i, all) => all.indexOf(note) === i);
  const lines = rows.map((row) => {
    const mark = row.note === undefined ? "" : ` [${notes.indexOf(row.note) + 1}]`;
    const found = [row.maxAbs, row.maxRel, row.blockAbs, row.blockRel].map((x) => (x === undefined ? "–" : size(x)));
    const counts = [row.bars ?? row.n, row.singly, `${row.nullsDiffer}${mark}`];
    return `| ${[`\`${row.kernel}\``, cell(row.option), row.peer, `\`${cell(row.peerOption)}\``, ...found, ...counts].join(" | ")} |`;
  });
  const heads = ["kernel", "option", "peer", "peer's option", "max abs", "max rel", "block abs", "block rel", "bars", "singly", "nulls differ"];
  const table = [`| ${heads.join(" | ")} |`, `|${"---|".repeat(heads.length)}`, ...lines];
  const footnotes = notes.length > 0 ? ["", "## Notes", "", ...notes.map((note, i) => `${i + 1}. ${note}`)] : [];
  return [introduction, ...table, ...footnotes, ""].join("\n");
}
