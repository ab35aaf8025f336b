import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openLake, readParquet } from "../lake/index.js";
import { type Market, makeMarket, type SymbolHistory, writeMarket } from "./index.js";
import { Stream } from "./random.js";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), "volley-synth-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Value on a day of one share held since it was listed; on the last day if it is gone. */
function valueOn({ calendar }: Market, { close, splits, listed, end }: SymbolHistory, d: number): number {
  const day = Math.min(d, end - 1);
  const factor = splits.reduce(
    (product, split) => (split.day <= (calendar.days[day] as number) ? product * split.ratio : product),
    1,
  );
  return (close[day - listed] as number) * factor;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * Mean over years of what planted symbols earn more than the rest of the smallest fifth, computed from the market's own
 * prices.
 */
function measured(market: Market): number {
  const { deadlines } = market.calendar;
  const years = Array.from(deadlines.subarray(0, -1), (from, y) => {
    const to = deadlines[y + 1] as number;
    const cap = ({ close, shares, listed }: SymbolHistory): number =>
      (close[from - listed] as number) * (shares[from - listed] as number);
    const listed = market.symbols.filter((one) => one.listed <= from && one.end > from).sort((a, b) => cap(a) - cap(b));
    const small = listed.slice(0, Math.trunc(0.2 * listed.length));
    const planted = new Set(market.planted[y]);
    const earned = (one: SymbolHistory): number => valueOn(market, one, to) / valueOn(market, one, from) - 1;
    const [cheap, others] = [
      small.filter(({ symbol }) => planted.has(symbol)),
      small.filter(({ symbol }) => !planted.has(symbol)),
    ];
    expect(cheap.length).toBe(planted.size);
    return mean(cheap.map(earned)) - mean(others.map(earned));
  });
  return mean(years);
}

describe("the planted effect", () => {
  it.each([
    [0.15, 0.1, 0.2],
    [0, -0.05, 0.05],
    [-0.1, -0.16, -0.04],
  ])("of %f is what cheap small symbols earn more, over two markets", (effect, from, to) => {
    const found = mean([1, 2].map((seed) => measured(makeMarket({ seed, symbols: 700, years: 12, effect }))));
    expect(found).toBeGreaterThan(from);
    expect(found).toBeLessThan(to);
  });
});

describe("a market", () => {
  const market = makeMarket({ seed: 7, symbols: 300, years: 12 });

  it("is the same for the same seed, another for another", () => {
    const small = { symbols: 10, years: 2 };
    expect(makeMarket({ seed: 7, ...small })).toEqual(makeMarket({ seed: 7, ...small }));
    expect(makeMarket({ seed: 8, ...small }).symbols[0]?.close.slice(0, 5)).not.toEqual(
      market.symbols[0]?.close.slice(0, 5),
    );
  });

  it("has splits that leave the value alone, and failures that do not", () => {
    const splits = market.symbols.flatMap((one) =>
      one.splits.map(({ day, ratio }) => ({ one, at: market.calendar.days.indexOf(day), ratio })),
    );
    expect(splits.length).toBeGreaterThan(20);
    for (const { one, at, ratio } of splits)
      expect((one.shares[at - one.listed] as number) / (one.shares[at - one.listed - 1] as number)).toBe(ratio);
    const moves = splits
      .map(({ one, at }) => valueOn(market, one, at) / valueOn(market, one, at - 1))
      .sort((a, b) => a - b);
    const median = moves[moves.length >> 1] as number;
    // Prices that rose split, often on news; unadjusted the median would be about a half.
    expect(median).toBeGreaterThan(1);
    expect(median).toBeLessThan(1.4);
    const failed = market.symbols.filter((one) => one.failed);
    expect(failed.length).toBeGreaterThan(30);
    for (const one of failed) expect((one.close.at(-1) as number) / (one.close.at(-2) as number)).toBeLessThan(0.51);
  });

  it("publishes statements late, half of the annual ones on the deadline, and restates some", () => {
    const statements = market.symbols.flatMap((one) => one.statements);
    const first = statements.filter(({ version }) => version === 1);
    // What was published before the data begins is known on its first day.
    for (const { event, known } of first.filter((statement) => statement.known > (market.calendar.days[0] as number))) {
      expect(known - event).toBeGreaterThanOrEqual(29);
      expect(known - event).toBeLessThanOrEqual(125);
    }
    const annual = first.filter(({ event }) => new Date(event * 86_400_000).getUTCMonth() === 11);
    const deadlines = new Set(Array.from(market.calendar.deadlines, (index) => market.calendar.days[index]));
    expect(annual.filter(({ known }) => deadlines.has(known)).length / annual.length).toBeCloseTo(0.5, 1);
    const restated = statements.filter(({ version }) => version === 2);
    expect(restated.length / first.length).toBeGreaterThan(0.2);
    for (const one of market.symbols)
      for (const late of one.statements.filter(({ version }) => version === 2)) {
        const early = one.statements.find(({ event, version }) => event === late.event && version === 1);
        expect(late.known).toBeGreaterThan((early?.known as number) + 50);
      }
  });

  it.each([
    [{ seed: -1, symbols: 5, years: 5 }, /seed is -1; expected a whole number/],
    [{ seed: 1, symbols: 0, years: 5 }, /symbols is 0/],
    [{ seed: 1, symbols: 20_000, years: 50 }, /1000000 symbol years/],
    [{ seed: 1, symbols: 5, years: 5, effect: Number.NaN }, /effect is NaN/],
  ])("refuses %j", (options, message) => {
    expect(() => makeMarket(options)).toThrow(message);
  });
});

describe("written", () => {
  const options = { seed: 3, symbols: 40, years: 3 };

  async function digest(folder: string): Promise<string> {
    const hash = createHash("sha256");
    for (const name of (await readdir(folder, { recursive: true })).sort())
      if (/\.\w+$/.test(name)) hash.update(name).update(await readFile(path.join(folder, name)));
    return hash.digest("hex");
  }

  it("has the same bytes for the same options", async () => {
    const written = await Promise.all(
      ["a", "b"].map((name) => writeMarket({ ...options, out: path.join(root, name), by: "symbol" })),
    );
    expect(written[0]?.bytes).toBe(written[1]?.bytes);
    expect(await digest(path.join(root, "a"))).toBe(await digest(path.join(root, "b")));
  });

  it("has the same prices by symbol as by date", async () => {
    const progress: number[] = [];
    const written = await writeMarket({
      ...options,
      out: path.join(root, "d"),
      by: "date",
      onProgress: (done) => progress.push(done),
    });
    expect(progress).toEqual(Array.from({ length: written.files - 1 }, (_, i) => i + 1));
    await writeMarket({ ...options, out: path.join(root, "s"), by: "symbol" });
    const rows = async (folder: string): Promise<string[]> => {
      const table = await (await openLake(path.join(root, folder, "prices/*.parquet"))).table();
      expect(table.numRows).toBe(written.prices);
      return [...table].map((row) => JSON.stringify(row?.toJSON())).sort();
    };
    expect(await rows("d")).toEqual(await rows("s"));
    const { table } = await readParquet(path.join(root, "d/statements.parquet"));
    expect(table.schema.fields.map(({ name, type }) => `${name} ${type}`)).toEqual([
      "symbol Dictionary<Int32, Utf8>",
      "event Date32<DAY>",
      "known Timestamp<MILLISECOND, UTC>",
      "book Float64",
      "earnings Float64",
      "version Int8",
    ]);
    expect(table.numRows).toBe(written.statements);
  });
});

it("random numbers by counter are spread as they should be", () => {
  const random = new Stream(42, "test");
  const n = 100_000;
  const uniforms = Array.from({ length: n }, (_, i) => random.uniform(i));
  const normals = Array.from({ length: n }, (_, i) => random.normal(i));
  expect(mean(uniforms)).toBeCloseTo(0.5, 2);
  expect(mean(normals)).toBeCloseTo(0, 1);
  expect(mean(normals.map((x) => x * x))).toBeCloseTo(1, 1);
  const buckets = new Array<number>(64).fill(0);
  for (const x of uniforms) buckets[Math.floor(x * 64)] = (buckets[Math.floor(x * 64)] as number) + 1;
  // Chi squared of 63 degrees of freedom; 1 in 10^5 is above 120.
  expect(buckets.reduce((sum, count) => sum + (count - n / 64) ** 2 / (n / 64), 0)).toBeLessThan(120);
  const lag = mean(uniforms.slice(1).map((x, i) => (x - 0.5) * ((uniforms[i] as number) - 0.5)));
  expect(Math.abs(lag)).toBeLessThan(0.002);
  expect(new Stream(42, "test", 1).uniform(0)).not.toBe(random.uniform(0));
});
