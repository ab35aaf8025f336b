/**
 * The table of docs/conformance.md: which option of which kernel is whose convention, and by how much the numbers
 * differ. Each family gives its rows (features/testing/conformance-rows.ts is one); conformance.test.ts writes the page
 * and holds the limits.
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
  /**
   * Largest difference of those, relative to the larger of the peer's value and a thousandth of the root mean square of
   * its column.
   */
  readonly maxRel: number;
  /** The same of sums of blocks (conformance-blocks.ts); left out where everything is compared singly. */
  readonly blockAbs?: number;
  readonly blockRel?: number;
  /** Values compared: singly or in a block, or by there being none. */
  readonly n: number;
  /** Values that a block could not compare, because ours lacks others of it. */
  readonly uncompared: number;
  /** Of n, compared singly. */
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
  #uncompared = 0;
  #singly = 0;
  #nullsDiffer = 0;

  /** Values of the same bars, compared singly. `unscaled`: they count for the absolute difference. */
  add(ours: ArrayLike<number>, theirs: ArrayLike<number>, unscaled: boolean): void {
    if (ours.length !== theirs.length)
      throw new VolleyError("INTERNAL", `${ours.length} values against ${theirs.length}`);
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
  count(n: number, singly: number, nullsDiffer: number, uncompared = 0): void {
    this.#uncompared += uncompared;
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

  result(): Pick<
    ConformanceRow,
    "maxAbs" | "maxRel" | "blockAbs" | "blockRel" | "n" | "uncompared" | "singly" | "nullsDiffer"
  > {
    const blocks = this.#blocks ? { blockAbs: this.#blocks.abs, blockRel: this.#blocks.rel } : {};
    return {
      maxAbs: this.#maxAbs,
      maxRel: this.#maxRel,
      ...blocks,
      n: this.#n,
      uncompared: this.#uncompared,
      singly: this.#singly,
      nullsDiffer: this.#nullsDiffer,
    };
  }
}

/** The largest relative difference of single values and blocks. */
export const worstOf = ({ maxRel, blockRel = 0 }: Pick<ConformanceRow, "maxRel" | "blockRel">): number =>
  Math.max(maxRel, blockRel);

const cell = (text: string): string => text.replaceAll("|", "\\|");
const size = (x: number): string => (x === 0 ? "0" : x.toExponential(1));

const introduction = `# Conformance

Which option of which kernel is whose convention. Written by \`npm run docs\` from the comparison that the tests make; the peers' values come from
running the peers, by the scripts in \`bench/peers\`. Every row stands on at least ${barsMin.toLocaleString("en")} bars.

- **bars**: the rows of data that were put through both, all scales and series of the row together.
- **singly**: the results that were compared one by one. A row with block differences has more results than these: of each column of the peer's a
  fixture keeps where there is a value, exactly; every 251st value; and of every block of at most 64 bars the sum of its values, weighted by position
  (\`kernels/testing/conformance-blocks.ts\`). So every bar is compared, one by one or in a block.
- **max abs**: the largest absolute difference of results compared singly, in the unit of the output; of features, backtests and panels at scale 1 only.
- **max rel**: the largest difference of those, over all scales, relative to the larger of the peer's value and a thousandth of its column's root mean square.
- **block abs**, **block rel**: the same of the sums, taken as the difference of a single bar of the least weight, relative to the larger of the block's
  mean magnitude and that thousandth. A bar that differs alone shows at its full size or up to 2.5 times that; the rounding of 64 bars adds up.
- **nulls differ**: bars where one of the two has a value and the other has none.
- A row where nulls differ, or with a relative difference above ${unexplainedRelMax.toExponential(0)}, has a note that says why, and a limit of its own in the tests.

What they run over:

- Features: 10,240 bars of a walk with suspensions, in which the price stands still for 60 bars, at prices of scale 1, 1e-9 and 1e9; with gaps, single bars
  and five in a row. To TA-Lib's windows a missing value is poison to the end: they have the three scales without gaps, and one run with a late start.
  TA-Lib's recurrences have one run without gaps, and the three scales with gaps of which the peer gets the bars that are there, as our null rule has it;
  pandas' DEMA and TEMA, and vectorbt's RSI, ATR and MACD, get them so too.
- Where a peer has a value though its input has none (exponential averages, running sums), that counts as none. So does an infinity that is a
  quotient by 0.
- Backtests: the same bars, with gaps unless the fill is at the next open, at the three scales. The results are the account's value at every bar, and the
  number of orders, which is among what is compared singly.
- Joins: two feeds of 12,000 rows, with ties and without. The results are the numbers of the rows that are taken, by their digest: they are equal or not.
- Of panels the values are those of 44 symbols on 270 dates (10,526 rows) at three scales, with ties, missing values, rows that are not there, symbols
  that come and go, and dates on which nothing varies. \`bars\` counts the rows of the panel, also where there is a result for a date only.
- Statistics: 15 series of returns, among them the walk, the walk with gaps at prices of three scales, the walk's returns times 1e-9 (10,240 bars each),
  5,103 days of the S&P 500, and short ones that are awkward. Each figure is compared with the peer's, relative to that alone; skewness, and vectorbt's
  drawdown, are 0 for some series, and relative to the root mean square as above.
- Splits: bounds of ranges, and the numbers of paths, one case at least of 10,240 bars. PBO and the bootstrap: small cases, and 10,240 bars of the walk.
`;

/** Of peers that the table has not, or of what no option of ours is. */
const others = `
## Conventions beside the table

- RSI where nothing has moved: TA-Lib 0 (\`flat: 0\`), LEAN and trading-signals 100 (\`flat: 100\`), vectorbt none (\`flat: "null"\`). LEAN and
  trading-signals were not run.
- vectorbt's RSI and ATR with \`ewm=True\` smooth with k = 2 / (window + 1), not with Wilder's 1 / window: no option of ours.
- TA-Lib's EMA seeds itself anew for the range that is asked for: EMA(400..400) is not value 400 of EMA(0..500). Ours carries its state, and any
  partitioning gives the same bits.
- TA-Lib's own regression data (252 bars) is not ours to copy, so the values it publishes for RSI, MACD and others are not checked here.
- LEAN's Sharpe ratio is of annual figures and backtesting.py takes geometric means: neither is an option of ours, and they were not run.
`;

export function renderConformance(rows: readonly ConformanceRow[]): string {
  const notes = rows.flatMap(({ note }) => note ?? []).filter((note, i, all) => all.indexOf(note) === i);
  const lines = rows.map((row) => {
    const mark = row.note === undefined ? "" : ` [${notes.indexOf(row.note) + 1}]`;
    const found = [row.maxAbs, row.maxRel, row.blockAbs, row.blockRel].map((x) => (x === undefined ? "–" : size(x)));
    const counts = [row.bars ?? row.n, row.singly, `${row.nullsDiffer}${mark}`];
    return `| ${[`\`${row.kernel}\``, cell(row.option), row.peer, `\`${cell(row.peerOption)}\``, ...found, ...counts].join(" | ")} |`;
  });
  const heads = [
    "kernel",
    "option",
    "peer",
    "peer's option",
    "max abs",
    "max rel",
    "block abs",
    "block rel",
    "bars",
    "singly",
    "nulls differ",
  ];
  const table = [`| ${heads.join(" | ")} |`, `|${"---|".repeat(heads.length)}`, ...lines];
  const footnotes = notes.length > 0 ? ["", "## Notes", "", ...notes.map((note, i) => `${i + 1}. ${note}`)] : [];
  return [introduction, ...table, ...footnotes, others].join("\n");
}
