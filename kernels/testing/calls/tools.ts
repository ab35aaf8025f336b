/** Drawn calls of the kernels that move and compare values, and of the as-of joins. */
import { Table } from "apache-arrow";
import { decodeValue, encodeValue } from "../../../proto/values/value.js";
import { boolVector, dayVector, float64Vector, int32Vector, textVector } from "../../columns/building.js";
import type { DrawnKernel } from "./call.js";
import { type Draw, joined, pieces } from "./draw.js";

const anyTable = (draw: Draw, rows: number): Table =>
  new Table({
    known: dayVector(Int32Array.from(draw.list(rows, () => draw.int(0, 9)))),
    x: float64Vector(draw.series(rows)),
    n: int32Vector(Int32Array.from(draw.list(rows, () => draw.int(-5, 5)))),
    flag: boolVector(draw.list(rows, () => draw.chance(0.5))),
    name: textVector(draw.list(rows, () => draw.pick(["a", "bb", ""]))),
  });

const anyValue = (draw: Draw, rows: number): unknown =>
  draw.pick<() => unknown>([() => draw.unit(), () => null, () => ({ a: [1, "b"] }), () => anyTable(draw, rows)])();

export const toolCalls: Readonly<Record<string, DrawnKernel>> = {
  "volley.noop": {
    whole: "gives nothing, whatever it gets",
    draw: (draw, rows) => ({ args: [anyValue(draw, rows), draw.unit()] }),
  },
  "volley.echo": { whole: "gives what it gets", draw: (draw, rows) => ({ args: [anyValue(draw, rows)] }) },
  "volley.sleep": { whole: "gives what it gets", draw: (draw, rows) => ({ args: [0, true, anyValue(draw, rows)] }) },
  "volley.concat": {
    draw: (draw, rows) => {
      const tables = draw.list(draw.int(1, 4), () => anyTable(draw, draw.int(0, rows)));
      return {
        args: [tables],
        inPieces: (run, [share = 0]) => {
          const at = 1 + Math.floor(share * (tables.length - 1));
          const rest = tables.slice(at);
          return run(rest.length === 0 ? [run(tables)] : [run(tables.slice(0, at)), run(rest)]);
        },
      };
    },
  },
  "audit.cut": {
    draw: (draw, rows) => {
      const table = anyTable(draw, rows);
      const cut = { known: "known", at: draw.int(-1, 10) * 86_400_000, mode: "truncate" };
      return {
        args: [table, cut],
        inPieces: (run, shares) => joined(pieces(table, shares).map((part) => run(part, cut) as Table)),
      };
    },
  },
  "audit.cuts": {
    draw: (draw, rows) => {
      const table = anyTable(draw, rows);
      const params = { known: "known", ...(draw.chance(0.5) ? { count: draw.int(1, 6) } : {}) };
      return { args: [table, params], inPieces: (run, shares) => run(joined(pieces(table, shares).reverse()), params) };
    },
  },
  "audit.compare": {
    draw: (draw, rows) => {
      const full = anyTable(draw, rows);
      const other = anyTable(draw, rows);
      const part = draw.chance(0.5)
        ? full.slice(0, draw.int(0, rows))
        : new Table({
            known: full.getChild("known") as never,
            x: other.getChild("x") as never,
            n: full.getChild("n") as never,
            flag: full.getChild("flag") as never,
            name: full.getChild("name") as never,
          });
      const cut = {
        ...(draw.chance(0.5) ? { time: "known" } : {}),
        at: draw.int(-1, 10) * 86_400_000,
        rows: draw.int(0, rows),
      };
      return {
        args: [part, full, cut],
        // What differs does so from either side; a missing row is one of the whole's either way only where rows are
        // told apart.
        inPieces: (run) => {
          const found = run(full, part, cut) as {
            column: string;
            row: number;
            withFuture: string;
            withoutFuture: string;
          } | null;
          const own = run(part, full, cut) as typeof found;
          if (found === null || found.column === "(rows)" || cut.time !== undefined) return own;
          return { ...found, withFuture: found.withoutFuture, withoutFuture: found.withFuture };
        },
      };
    },
  },
};

/** As between two tasks of a cluster. */
const overTheWire = (value: unknown): unknown => decodeValue(encodeValue(value));

interface Carried {
  readonly table: Table;
  readonly carry: unknown;
}

const ascendingDays = (draw: Draw, rows: number, most: number): Int32Array =>
  Int32Array.from(draw.list(rows, () => draw.int(0, most))).sort();
const keys = (draw: Draw, rows: number): ReturnType<typeof textVector> =>
  textVector(draw.list(rows, () => draw.pick(["a", "b", "c"])));

export const joinCalls: Readonly<Record<string, DrawnKernel>> = {
  "asof.join": {
    draw: (draw, rows) => {
      const left = new Table({
        k: keys(draw, rows),
        t: dayVector(ascendingDays(draw, rows, 15)),
        x: float64Vector(draw.series(rows)),
      });
      const others = draw.int(0, 12);
      const right = new Table({
        k: keys(draw, others),
        t: dayVector(ascendingDays(draw, others, 15)),
        v: float64Vector(draw.series(others)),
      });
      const params = {
        on: "t",
        by: draw.pick([[], ["k"]]),
        columns: ["v"],
        exact: draw.chance(0.7),
        ties: draw.pick(["last", "first", "adjacent"]),
        ...(draw.chance(0.4) ? { tolerance: draw.int(0, 5) * 86_400_000 } : {}),
      };
      return {
        args: [left, right, params],
        known: { 0: "t", 1: "t" },
        inPieces: (run, shares) => {
          let carry: unknown;
          const parts = pieces(left, shares).map((part) => {
            const made = run(part, right, { ...params, withCarry: true }, carry) as Carried;
            carry = overTheWire(made.carry);
            return made.table;
          });
          return joined(parts);
        },
      };
    },
  },
  "asof.pit": {
    draw: (draw, rows) => {
      const left = new Table({
        k: keys(draw, rows),
        t: dayVector(ascendingDays(draw, rows, 15)),
        x: float64Vector(draw.series(rows)),
      });
      const others = draw.int(0, 12);
      const event = Int32Array.from(draw.list(others, () => draw.int(0, 12)));
      const facts = new Table({
        k: keys(draw, others),
        event: dayVector(event),
        // Restated later, or announced before it happens.
        known: dayVector(event.map((day) => day + draw.int(-1, 6))),
        v: float64Vector(draw.series(others)),
      });
      const params = {
        time: "t",
        event: "event",
        known: "known",
        by: draw.pick([[], ["k"]]),
        columns: ["v"],
        ...(draw.chance(0.3) ? { maxAge: draw.int(0, 8) * 86_400_000 } : {}),
        ...(draw.chance(0.3) ? { publication: { delayMs: draw.int(0, 3) * 43_200_000 } } : {}),
      };
      return {
        args: [left, facts, params],
        known: { 0: "t", 1: "known" },
        inPieces: (run, shares) => {
          let carry: unknown;
          const parts = pieces(left, shares).map((part) => {
            const made = run(part, facts, { ...params, withCarry: true }, undefined, carry) as Carried;
            carry = overTheWire(made.carry);
            return made.table;
          });
          return joined(parts);
        },
      };
    },
  },
};
