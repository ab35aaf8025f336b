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
  /** Largest absolute difference, in the unit of the output, where prices are not scaled. */
  readonly maxAbs: number;
  /** Largest difference relative to the larger of the peer's value and a thousandth of the root mean square of its column. */
  readonly maxRel: number;
  /** Values compared. */
  readonly n: number;
  /** Bars where one has a value and the other has none. */
  readonly nullsDiffer: number;
  /** Why it differs by more than rounding. */
  readonly note?: string;
}

/** A row above this relative difference needs a note that says why. */
export const unexplainedRelMax = 1e-9;

/** Collects the differences of one row. */
export class Differences {
  #maxAbs = 0;
  #maxRel = 0;
  #n = 0;
  #nullsDiffer = 0;

  /** Values of the same bars. `unscaled`: they count for the absolute difference. */
  add(ours: ArrayLike<number>, theirs: ArrayLike<number>, unscaled: boolean): void {
    if (ours.length !== theirs.length) throw new VolleyError("INTERNAL", `${ours.length} values against ${theirs.length}`);
    const present = Array.from(theirs).filter((x) => Number.isFinite(x));
    const floor = Math.sqrt(present.reduce((total, x) => total + x * x, 0) / Math.max(present.length, 1)) / 1_000;
    for (let i = 0; i < theirs.length; i++) {
      const [a, b] = [ours[i] as number, theirs[i] as number];
      this.#n++;
      if (Number.isNaN(a) !== Number.isNaN(b)) this.#nullsDiffer++;
      if (Number.isNaN(a) || Number.isNaN(b) || a === b) continue;
      const difference = Math.abs(a - b);
      if (unscaled) this.#maxAbs = Math.max(this.#maxAbs, difference);
      this.#maxRel = Math.max(this.#maxRel, difference / Math.max(Math.abs(b), floor));
    }
  }

  /** Of values that were compared elsewhere. */
  count(n: number, nullsDiffer: number): void {
    this.#n += n;
    this.#nullsDiffer += nullsDiffer;
  }

  difference(absolute: number, relative: number, unscaled: boolean): void {
    if (unscaled) this.#maxAbs = Math.max(this.#maxAbs, absolute);
    this.#maxRel = Math.max(this.#maxRel, relative);
  }

  result(): Pick<ConformanceRow, "maxAbs" | "maxRel" | "n" | "nullsDiffer"> {
    return { maxAbs: this.#maxAbs, maxRel: this.#maxRel, n: this.#n, nullsDiffer: this.#nullsDiffer };
  }
}

const cell = (text: string): string => text.replaceAll("|", "\\|");
const size = (x: number): string => (x === 0 ? "0" : x.toExponential(1));

const introduction = `# Conformance

Which option of which kernel is whose convention. Written by \`npm run docs\` from the comparison that the tests make; the peers' values come from
running the peers (\`bench/peers/*_fixtures.py\`) on the same bars: 10,240 of them, a walk with suspensions in which the price stands still; for peers
that know missing values also with gaps; at prices of scale 1, 1e-9 and 1e9. \`n\` is the number of values that are kept of those runs and compared.

- **max abs**: the largest absolute difference at scale 1, in the unit of the output.
- **max rel**: the largest difference, over all scales, relative to the larger of the peer's value and a thousandth of its column's root mean square.
- **nulls differ**: bars where one of the two has a value and the other has none.
- Of joins the values are the numbers of the rows that are taken, on two feeds of 12,000 rows, with ties and without: they are equal or they are not.
- Of panels the values are those of 44 symbols on 270 dates (10,526 rows), with ties, missing values, rows that are not there, symbols that come and go,
  and dates on which nothing varies. Where there is no value is compared row by row; the values by a weighted sum of every 64 of them, and every 127th
  by itself (\`worker/kernels/conformance-blocks.ts\`). \`n\` counts the rows.
- A row where nulls differ, or with a relative difference above ${unexplainedRelMax.toExponential(0)}, has a note that says why.
`;

export function renderConformance(rows: readonly ConformanceRow[]): string {
  const notes = rows.flatMap(({ note }) => note ?? []).filter((note, i, all) => all.indexOf(note) === i);
  const lines = rows.map(({ kernel, option, peer, peerOption, maxAbs, maxRel, n, nullsDiffer, note }) => {
    const mark = note === undefined ? "" : ` [${notes.indexOf(note) + 1}]`;
    return `| \`${kernel}\` | ${cell(option)} | ${peer} | \`${cell(peerOption)}\` | ${size(maxAbs)} | ${size(maxRel)}${mark} | ${n} | ${nullsDiffer} |`;
  });
  const table = ["| kernel | option | peer | peer's option | max abs | max rel | n | nulls differ |", "|---|---|---|---|---|---|---|---|", ...lines];
  const footnotes = notes.length > 0 ? ["", "## Notes", "", ...notes.map((note, i) => `${i + 1}. ${note}`)] : [];
  return [introduction, ...table, ...footnotes, ""].join("\n");
}
