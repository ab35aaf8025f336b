/**
 * Against what pandas, polars and DuckDB answered (bench/peers/asof_fixtures.py), row by row on small tables and by
 * digest on a feed.
 */
import type { Table } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { asofJoin } from "./join.js";
import { asofConformance, conventionOf, peerFixture, tableOf } from "./testing/conformance-rows.js";

const { sets } = peerFixture();
const rowsOf = (joined: unknown): (number | null)[] =>
  [...((joined as Table).getChild("row") ?? [])] as (number | null)[];
const columns = { on: "t", by: "k", columns: ["row"], keep: [] };

describe.each(sets)("peers, $name", ({ left, right, cases }) => {
  const [leftTable, rightTable] = [tableOf(left), tableOf(right)];

  it.each(cases.map((one) => [one.peer, one.form ?? JSON.stringify(one.options), one] as const))(
    "%s %s",
    (peer, _, { options, rows }) => {
      expect(
        rowsOf(
          asofJoin.run(leftTable, rightTable, { ...columns, ...conventionOf(peer, options.direction), ...options }),
        ),
      ).toEqual(rows);
    },
  );
});

describe("conventions", () => {
  it("agree on every row of a feed of 12,000 rows a side, on one axis and on two", () => {
    const rows = asofConformance();
    expect(rows.length).toBeGreaterThan(50);
    expect(rows.filter(({ n, maxAbs, nullsDiffer }) => n !== 12_000 || maxAbs !== 0 || nullsDiffer !== 0)).toEqual([]);
  });

  it("our default, looking back, is that of all of them: the last of equals", () => {
    const ties = sets.find(({ name }) => name === "ties");
    const found = ties?.cases.find(
      ({ peer, options }) =>
        peer === "pandas" && options.direction === "backward" && options.exact && options.tolerance === undefined,
    );
    expect(found?.rows.length).toBe(200);
    expect(ties && rowsOf(asofJoin.run(tableOf(ties.left), tableOf(ties.right), columns))).toEqual(found?.rows);
  });
});
