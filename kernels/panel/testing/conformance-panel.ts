/** The panel of bench/peers/panel_rows.py, number for number, from a 32-bit xorshift. For the tests. */
import { Int32, Table, Utf8, vectorFromArray } from "apache-arrow";
import { float64Vector } from "../../columns/building.js";

const [dates, symbols] = [270, 44];
const seed = 2463534242;

interface Row {
  readonly day: number;
  readonly symbol: string;
  readonly sector: string | null;
  /** In hundredths, NaN where missing. */
  readonly numbers: Readonly<Record<(typeof columns)[number], number>>;
}

const columns = ["x", "tied", "y", "size", "close"] as const;

/** Whole numbers below `below`. */
function draws(): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state ^ (state << 13)) >>> 0;
    state ^= state >>> 17;
    state = (state ^ (state << 5)) >>> 0;
    return state % below;
  };
}

function drawnRows(): Row[] {
  const draw = draws();
  const rows: Row[] = [];
  const prices = new Float64Array(symbols).fill(10_000);
  for (let d = 0; d < dates; d++) {
    for (let s = 0; s < symbols; s++) {
      const x = 4_000 + draw(3_001) + draw(3_001) + draw(3_001) + draw(3_001);
      const y = Math.floor((3 * x) / 10) + draw(3_001);
      const tied = d % 90 === 7 ? 200 : 100 * draw(6);
      const size = 500 + draw(100) * draw(100) * draw(10);
      const last = prices[s] as number;
      const reach = Math.max(4, Math.floor(last / 64));
      const close = Math.max(500, last + draw(2 * reach + 1) - reach);
      prices[s] = close;
      const [noRow, noX, noTied, noClose] = [20, 12, 12, 50].map((n) => draw(n) === 0);
      if (noRow || (s % 10 === 3 && d > 180) || (s % 10 === 5 && d < 90)) continue;
      const numbers = {
        x: noX ? Number.NaN : x,
        tied: noTied ? Number.NaN : tied,
        y,
        size,
        close: noClose ? Number.NaN : close,
      };
      rows.push({
        day: 19_000 + d,
        symbol: `S${String(s).padStart(2, "0")}`,
        sector: s === 11 ? null : ("ABC"[s % 3] as string),
        numbers,
      });
    }
  }
  return rows;
}

let drawn: Row[] | undefined;

/** Its numbers times scale. */
export function conformancePanel(scale: number): Table {
  drawn ??= drawnRows();
  const rows = drawn;
  const numbers = columns.map(
    (name) => [name, float64Vector(Float64Array.from(rows, (row) => (row.numbers[name] / 100) * scale))] as const,
  );
  return new Table({
    ...Object.fromEntries(numbers),
    day: vectorFromArray(
      rows.map(({ day }) => day),
      new Int32(),
    ),
    symbol: vectorFromArray(
      rows.map(({ symbol }) => symbol),
      new Utf8(),
    ),
    sector: vectorFromArray(
      rows.map(({ sector }) => sector),
      new Utf8(),
    ),
  });
}
