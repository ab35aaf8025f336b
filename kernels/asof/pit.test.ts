import { DateDay, makeData, Table, TimestampMillisecond, Utf8, Vector, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { decodeValue, encodeValue } from "../../proto/values/value.js";
import { requireKernel } from "../registry.js";
import { casesPerKernel } from "../testing/property-cases.js";
import { openPit } from "./pit.js";
import { naivePit } from "./testing/naive-oracle.js";
import {
  families,
  inBatches,
  type KeyType,
  keyText,
  keyVector,
  type RandomRow,
  rowsArbitrary,
  sortedInGroups,
  type TimeType,
} from "./testing/random-tables.js";

const pit = requireKernel("asof.pit", 1);
const rowsOf = (table: Table): number[] =>
  [...(table.getChild("row") ?? [])].map((row) => (row as number | null) ?? -1);
const numbers = (length: number): Vector => vectorFromArray(Int32Array.from({ length }, (_, i) => i));

const keyColumns = (rows: readonly RandomRow[], keys: readonly KeyType[]): Record<string, Vector> =>
  Object.fromEntries(
    keys.map((key, k) => [
      `k${k}`,
      keyVector(
        key,
        rows.map((row) => row.keys[k] ?? null),
      ),
    ]),
  );

const caseArbitrary = fc
  .record({
    family: fc.constantFrom(...families),
    keys: fc.array(fc.constantFrom<KeyType>("int32", "utf8", "dictionary"), { maxLength: 2 }),
  })
  .chain(({ family, keys }) =>
    fc.record({
      keys: fc.constant(keys),
      times: fc.tuple(fc.constantFrom(...family), fc.constantFrom(...family), fc.constantFrom(...family)),
      left: rowsArbitrary(keys.length, 30).map(sortedInGroups),
      facts: rowsArbitrary(keys.length, 40),
      isOrdered: fc.boolean(),
      maxAge: fc.option(fc.nat(8), { nil: undefined }),
      cuts: fc.array(fc.nat(40), { maxLength: 3 }),
    }),
  )
  .map(({ keys, times: [time, event, known], left, facts, isOrdered, maxAge, cuts }) => {
    const rows = isOrdered ? sortedInGroups(facts) : facts;
    const ticks = (type: TimeType, value: number | null): bigint | null => (value === null ? null : type.ticks(value));
    return {
      left: inBatches(
        new Table({
          ...keyColumns(left, keys),
          date: time.vector(left.map((row) => row.time)),
          at: numbers(left.length),
        }),
        cuts,
      ),
      facts: inBatches(
        new Table({
          ...keyColumns(rows, keys),
          event: event.vector(rows.map((row) => row.time)),
          known: known.vector(rows.map((row) => row.other)),
          row: numbers(rows.length),
        }),
        cuts,
      ),
      cuts,
      params: {
        by: keys.map((_, k) => `k${k}`),
        columns: ["row"],
        ...(maxAge === undefined ? {} : { maxAge: time.tolerance(maxAge) }),
      },
      expected: naivePit(
        left.map((row) => ({ key: keyText(row), time: ticks(time, row.time) })),
        rows.map((row) => ({ key: keyText(row), event: ticks(event, row.time), known: ticks(known, row.other) })),
        maxAge === undefined ? undefined : BigInt(maxAge) * (time.ticks(1) - time.ticks(0)),
      ),
    };
  });

const dayMs = 86_400_000;
const instant = (text: string): number => Date.parse(text.length === 10 ? `${text}T00:00:00Z` : text);
const instants = (texts: readonly (string | null)[]): Vector =>
  vectorFromArray(
    texts.map((text) => (text === null ? null : instant(text))),
    new TimestampMillisecond(),
  );
const days = (texts: readonly string[]): Vector =>
  new Vector([
    makeData({
      type: new DateDay(),
      length: texts.length,
      nullCount: 0,
      data: Int32Array.from(texts, (text) => instant(text) / dayMs),
    }),
  ]);

describe("asof.pit", () => {
  it("agrees with a search of all pairs: every type, order of facts, restatement, null, age and batch", () => {
    fc.assert(
      fc.property(caseArbitrary, ({ left, facts, params, expected }) => {
        expect(rowsOf(pit.run(left, facts, params) as Table)).toEqual(expected);
      }),
      { numRuns: casesPerKernel },
    );
  });

  it("any partitioning of the left table gives the same rows", () => {
    fc.assert(
      fc.property(caseArbitrary, ({ left, facts, params, cuts, expected }) => {
        const edges = [0, ...cuts.map((cut) => cut % (left.numRows + 1)).sort((a, b) => a - b), left.numRows];
        const parts = edges.slice(1).map((to, i) => left.slice(edges[i], to));
        const stream = openPit(facts, params);
        expect(parts.flatMap((part) => rowsOf(stream.push(part)))).toEqual(expected);
        let carry: unknown;
        const wired = parts.flatMap((part) => {
          const result = pit.run(part, facts, { ...params, withCarry: true }, undefined, carry) as {
            table: Table;
            carry: unknown;
          };
          // As between two tasks of a cluster.
          carry = decodeValue(encodeValue(result.carry));
          return rowsOf(result.table);
        });
        expect(wired).toEqual(expected);
      }),
      { numRuns: casesPerKernel },
    );
  });

  it("shows Moutai's second quarter of 2019 as it was known: 0.0 from 13 July, 0.175322 from 18 July", () => {
    const facts = new Table({
      code: vectorFromArray(["600519.SH", "600519.SH", "600519.SH"], new Utf8()),
      event: days(["2019-06-30", "2019-06-30", "2019-03-31"]),
      known: days(["2019-07-18", "2019-07-13", "2019-04-25"]),
      growth: vectorFromArray(Float64Array.of(0.175322, 0, 0.2391)),
    });
    const dates = ["2019-04-24", "2019-04-25", "2019-07-12", "2019-07-13", "2019-07-17", "2019-07-18", "2020-01-02"];
    const left = new Table({
      code: vectorFromArray(
        dates.map(() => "600519.SH"),
        new Utf8(),
      ),
      date: days(dates),
    });
    const joined = pit.run(left, facts, { by: "code", columns: ["growth"] }) as Table;
    expect([...(joined.getChild("growth") ?? [])]).toEqual([null, 0.2391, 0.2391, 0, 0, 0.175322, 0.175322]);
  });

  it("a late restatement of an older quarter does not displace a newer quarter", () => {
    const facts = new Table({
      event: days(["2019-03-31", "2019-06-30", "2019-03-31"]),
      known: days(["2019-04-25", "2019-07-18", "2019-08-01"]),
      row: numbers(3),
    });
    const left = new Table({ date: days(["2019-07-01", "2019-07-20", "2019-08-02"]) });
    expect(rowsOf(pit.run(left, facts, { columns: ["row"] }) as Table)).toEqual([0, 1, 1]);
  });

  it("an announced event is not seen before it happens", () => {
    const facts = new Table({
      event: days(["2019-06-01", "2019-06-20"]),
      known: days(["2019-05-01", "2019-05-01"]),
      row: numbers(2),
    });
    const left = new Table({ date: days(["2019-05-15", "2019-06-01", "2019-06-19", "2019-06-20"]) });
    expect(rowsOf(pit.run(left, facts, { columns: ["row"] }) as Table)).toEqual([-1, 0, 0, 1]);
  });
});

describe("publication", () => {
  const filings = (...known: (string | null)[]): Table =>
    new Table({
      event: instants(known.map((_, i) => `2019-06-${String(i + 10)}`)),
      known: instants(known),
      row: numbers(known.length),
    });
  const seen = (at: readonly string[], facts: Table, params: object, calendar?: Table): number[] =>
    rowsOf(pit.run(new Table({ date: instants(at) }), facts, { columns: ["row"], ...params }, calendar) as Table);

  it("a delay shifts what is known", () => {
    const at = ["2019-07-01T09:59:59.999Z", "2019-07-01T10:00:00Z"];
    expect(seen(at, filings("2019-07-01T09:00:00Z"), { publication: { delayMs: 3_600_000 } })).toEqual([-1, 0]);
  });

  it("what is filed after the close is not visible that day, on the clock of the exchange", () => {
    // 15:00 in Shanghai is 07:00 UTC; the next day begins there at 16:00 UTC.
    const publication = { cutoff: "15:00", utcOffsetMinutes: 480 };
    const at = ["2019-07-01T06:59:00Z", "2019-07-01T07:00:00Z", "2019-07-01T15:59:59Z", "2019-07-01T16:00:00Z"];
    expect(seen(at, filings("2019-07-01T07:00:00Z"), { publication })).toEqual([-1, 0, 0, 0]);
    expect(seen(at, filings("2019-07-01T07:00:01Z"), { publication })).toEqual([-1, -1, -1, 0]);
    // Filed at 00:30 in Shanghai, which is still the day before in UTC.
    expect(
      seen(["2019-06-30T16:29:00Z", "2019-06-30T16:30:00Z"], filings("2019-06-30T16:30:00Z"), { publication }),
    ).toEqual([-1, 0]);
  });

  it("with sessions, what is known waits for the next open that leaves enough time; after the last one it is never seen", () => {
    const calendar = new Table({ open: instants(["2019-07-05T01:30:00Z", "2019-07-08T01:30:00Z"]) });
    const publication = { sessions: "open", leadMs: 45 * 60_000 };
    const at = [
      "2019-07-05T01:29:59Z",
      "2019-07-05T01:30:00Z",
      "2019-07-08T01:29:59Z",
      "2019-07-08T01:30:00Z",
      "2019-07-09T00:00:00Z",
    ];
    expect(seen(at, filings("2019-07-05T00:45:00Z"), { publication }, calendar)).toEqual([-1, 0, 0, 0, 0]);
    expect(seen(at, filings("2019-07-05T00:45:00.001Z"), { publication }, calendar)).toEqual([-1, -1, -1, 0, 0]);
    expect(seen(at, filings("2019-07-08T01:00:00Z"), { publication }, calendar)).toEqual([-1, -1, -1, -1, -1]);
    expect(seen(at, filings(null), { publication }, calendar)).toEqual([-1, -1, -1, -1, -1]);
  });

  it("of two versions that become visible at the same open the one known later counts", () => {
    const calendar = new Table({ open: instants(["2019-07-08T01:30:00Z"]) });
    const facts = new Table({
      event: days(["2019-06-30", "2019-06-30"]),
      known: instants(["2019-07-05T10:00:00Z", "2019-07-05T09:00:00Z"]),
      row: numbers(2),
    });
    expect(seen(["2019-07-08T01:30:00Z"], facts, { publication: { sessions: "open" } }, calendar)).toEqual([0]);
  });

  it("a row dated at midnight can stand for the day's close", () => {
    const facts = filings("2019-07-01T06:00:00Z");
    const left = new Table({ date: days(["2019-06-30", "2019-07-01"]) });
    const rows = (decisionMs: number): number[] =>
      rowsOf(pit.run(left, facts, { columns: ["row"], decisionMs }) as Table);
    expect(rows(0)).toEqual([-1, -1]);
    expect(rows(7 * 3_600_000)).toEqual([-1, 0]);
  });

  it("agrees with the rule written out, for any clock, cutoff, delay and calendar", () => {
    const minute = 60_000;
    const moment = fc.integer({ min: 0, max: 10 * 1_440 });
    const given = fc.record({
      known: fc.array(moment, { maxLength: 8 }),
      at: fc.array(moment, { maxLength: 12 }).map((list) => list.sort((a, b) => a - b)),
      delay: fc.integer({ min: 0, max: 3_000 }),
      cutoff: fc.option(fc.integer({ min: 0, max: 1_439 }), { nil: undefined }),
      offset: fc.integer({ min: -720, max: 720 }),
      opens: fc.option(
        fc.array(moment, { maxLength: 8 }).map((list) => list.sort((a, b) => a - b)),
        { nil: undefined },
      ),
      lead: fc.integer({ min: 0, max: 600 }),
    });
    fc.assert(
      fc.property(given, ({ known, at, delay, cutoff, offset, opens, lead }) => {
        const visible = known.map((time) => {
          let from = time + delay;
          const local = from + offset;
          const day = Math.floor(local / 1_440);
          if (cutoff !== undefined && local - day * 1_440 > cutoff) from = (day + 1) * 1_440 - offset;
          return opens ? opens.find((open) => open - lead >= from) : from;
        });
        const stamps = (minutes: readonly number[]): Vector =>
          vectorFromArray(
            minutes.map((value) => value * minute),
            new TimestampMillisecond(),
          );
        const facts = new Table({
          event: stamps(known.map(() => 0)),
          known: stamps(known),
          row: numbers(known.length),
        });
        const clock = (value: number): string =>
          `${String(Math.floor(value / 60)).padStart(2, "0")}:${String(value % 60).padStart(2, "0")}`;
        const publication = {
          delayMs: delay * minute,
          utcOffsetMinutes: offset,
          leadMs: lead * minute,
          ...(cutoff === undefined ? {} : { cutoff: clock(cutoff) }),
          ...(opens ? { sessions: "open" } : {}),
        };
        const calendar = opens && new Table({ open: stamps(opens) });
        const joined = pit.run(
          new Table({ date: stamps(at) }),
          facts,
          { columns: ["row"], publication },
          calendar,
        ) as Table;
        const expected = naivePit(
          at.map((time) => ({ key: "", time: BigInt(time) })),
          known.map((time, i) => ({
            key: "",
            event: 0n,
            known: BigInt(time),
            visible: visible[i] === undefined ? null : BigInt(visible[i]),
          })),
          undefined,
        );
        expect(rowsOf(joined)).toEqual(expected);
      }),
      { numRuns: casesPerKernel },
    );
  });
});
