import { Table, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { requireKernel } from "../registry.js";
import { faultOf, readStatisticsOracle } from "../statistics/testing/statistics-oracle.js";
import { casesPerKernel } from "../testing/property-cases.js";
import { binomial, choices } from "./combinations.js";
import { blocksOf, runsOf, type Split, splitIn } from "./ranges.js";

const oracle = readStatisticsOracle();
const barsOf = (count: number): Table => new Table({ x: vectorFromArray(new Float64Array(count)) });
const run = (kernel: string, table: Table, params?: unknown): Table =>
  requireKernel(`validation.${kernel}`, 1).run(table, params) as Table;
const splitsIn = (table: Table, bars: number): Split[] => {
  const last = table.getChild("split")?.get(table.numRows - 1) as number;
  return Array.from({ length: last + 1 }, (_, split) => splitIn(table, split, bars));
};
const split = (kernel: string, bars: number, params: unknown): Split[] =>
  splitsIn(run(kernel, barsOf(bars), params), bars);
const pairs = (ranges: readonly { from: number; to: number }[]): number[][] => ranges.map(({ from, to }) => [from, to]);
/** As lists joined by commas: a matcher on every list of bars would take longer than the kernels. */
const sameBars = (got: readonly number[], expected: readonly number[]): void => {
  if (got.join() !== expected.join()) expect(got).toEqual(expected);
};
const barsIn = (ranges: readonly { from: number; to: number }[]): number[] =>
  ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i));
const given = (options: Record<string, number | string | null>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null));

describe("splits against scikit-learn and skfolio", () => {
  it.each(oracle.walkForward)(
    "walk-forward over $bars bars in $splits splits is TimeSeriesSplit",
    ({ bars, splits, test, train, purge, found }) => {
      // max_train_size cuts what grows; with it, and room for it in the first split, every window has that length.
      const rolling =
        train !== null && found.every(([windows]) => windows[0] && windows[0][1] - windows[0][0] === train);
      const ours = split(
        "walk_forward",
        bars,
        given({ splits, test, purge, mode: rolling ? "rolling" : "expanding", train: rolling ? train : null }),
      );
      expect(ours.map(({ test: tests }) => pairs(tests))).toEqual(found.map(([, tests]) => tests));
      expect(ours.map(({ train: trains }) => pairs(trains))).toEqual(found.map(([trains]) => trains));
    },
  );

  it.each(oracle.kfold)(
    "purged k-fold of $bars bars in $splits folds, without purge, is KFold",
    ({ bars, splits, found }) => {
      const ours = split("purged_kfold", bars, { splits });
      expect(ours.map(({ train, test }) => [pairs(train), pairs(test)])).toEqual(found);
    },
  );

  it.each(oracle.cpcv)(
    "CPCV of $groups groups, $testGroups tested, purge $purge, embargo $embargo is skfolio's",
    ({ bars, found, pathIds, paths, ...params }) => {
      const { groups, testGroups, purge, embargo } = params;
      const ours = split("cpcv", bars, { groups, testGroups, purge, embargo });
      expect(ours.map(({ train }) => pairs(train))).toEqual(found.map(([train]) => train));
      expect(ours.map(({ test }) => test.map((range) => pairs([range])))).toEqual(found.map(([, test]) => test));
      expect(ours.map(({ test }) => test.map(({ path }) => path))).toEqual(pathIds);
      expect(new Set(ours.flatMap(({ test }) => test.map(({ path }) => path))).size).toBe(paths);
    },
  );
});

describe("every split", () => {
  const sizes = fc.record({
    bars: fc.integer({ min: 30, max: 90 }),
    groups: fc.integer({ min: 2, max: 6 }),
    tests: fc.integer({ min: 1, max: 3 }),
    purge: fc.nat(6),
    embargo: fc.nat(6),
  });

  it("trains on no bar whose label touches a test label, nor on one in the embargo, and on every other bar (CPCV)", () => {
    fc.assert(
      fc.property(
        sizes,
        fc.boolean(),
        fc.infiniteStream(fc.nat(9)),
        ({ bars, groups, tests, purge, embargo }, ownLabels, noise) => {
          const testGroups = Math.min(tests, groups - 1);
          const horizons = noise[Symbol.iterator]();
          const labels = Array.from(
            { length: bars },
            (_, bar) => bar + (ownLabels ? Number(horizons.next().value) : purge),
          );
          const table = new Table({ known: vectorFromArray(Float64Array.from(labels)) });
          let made: Split[];
          try {
            made = splitsIn(
              run("cpcv", table, { groups, testGroups, embargo, ...(ownLabels ? { labelEnd: "known" } : { purge }) }),
              bars,
            );
          } catch (error) {
            expect(String(error)).toMatch(/no bars left to train on/);
            return;
          }
          expect(made).toHaveLength(binomial(groups, testGroups));
          for (const { train, test } of made) {
            const tested = test.map(({ from, to }) => ({ from, known: Math.max(...labels.slice(from, to)) }));
            const allowed = (bar: number): boolean =>
              tested.every(({ from, known }) => {
                const overlaps = (labels[bar] as number) >= from && bar <= known;
                return !overlaps && !(bar > known && bar <= known + embargo);
              });
            sameBars(barsIn(train), Array.from({ length: bars }, (_, bar) => bar).filter(allowed));
          }
        },
      ),
      { numRuns: casesPerKernel },
    );
  });

  it("C(N, k) k / N paths, each of which tests every bar once (CPCV)", () => {
    fc.assert(
      fc.property(sizes, ({ bars, groups, tests }) => {
        const testGroups = Math.min(tests, groups - 1);
        const made = split("cpcv", bars, { groups, testGroups });
        const paths = new Map<number, number[]>();
        for (const { test } of made)
          for (const range of test) paths.set(range.path, [...(paths.get(range.path) ?? []), ...barsIn([range])]);
        expect(paths.size).toBe((binomial(groups, testGroups) * testGroups) / groups);
        for (const covered of paths.values())
          sameBars(
            covered.sort((a, b) => a - b),
            Array.from({ length: bars }, (_, bar) => bar),
          );
      }),
      { numRuns: casesPerKernel },
    );
  });

  it("trains only on the past, on windows of one length when rolling, and tests without overlap to the last bar (walk-forward)", () => {
    const options = fc.record({
      bars: fc.integer({ min: 20, max: 200 }),
      mode: fc.constantFrom("rolling", "expanding"),
      train: fc.integer({ min: 1, max: 60 }),
      test: fc.integer({ min: 1, max: 30 }),
      gap: fc.nat(10),
      more: fc.nat(5),
    });
    fc.assert(
      fc.property(options, ({ bars, mode, train, test, gap, more }) => {
        fc.pre(train + gap + test <= bars);
        const made = split("walk_forward", bars, { mode, train, test, purge: gap, step: test + more });
        expect(made).toHaveLength(Math.floor((bars - train - gap - test) / (test + more)) + 1);
        expect(made.at(-1)?.test[0]?.to).toBe(bars);
        const first = made[0]?.test[0]?.from as number;
        const expected = made.map((_, i) => {
          const from = first + i * (test + more);
          const to = from - gap;
          return [
            [mode === "rolling" ? to - train : 0, to],
            [from, from + test],
          ];
        });
        const got = made.map(({ train: [learn], test: [check] }) => [
          [learn?.from, learn?.to],
          [check?.from, check?.to],
        ]);
        if (JSON.stringify(got) !== JSON.stringify(expected)) expect(got).toEqual(expected);
      }),
      { numRuns: casesPerKernel },
    );
  });
});

describe("the parts", () => {
  it("choices are all, once and in order", () => {
    expect(choices(4, 2, 10)).toEqual([
      [0, 1],
      [0, 2],
      [0, 3],
      [1, 2],
      [1, 3],
      [2, 3],
    ]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.nat(12), (n, k) => {
        fc.pre(k >= 1 && k <= n);
        const all = choices(n, k, 1_000).map((chosen) => chosen.join());
        expect(new Set(all).size).toBe(binomial(n, k));
      }),
    );
    expect(faultOf(() => choices(30, 15, 10_000))).toMatchObject({
      code: "TOO_LARGE",
      message: expect.stringMatching(/155117520 ways, over the limit of 10000/),
    });
  });

  it("blocks cover the bars and differ by one at most; runs are the marked bars", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.boolean()),
        (bars, groups, marks) => {
          const blocks = blocksOf(bars, groups);
          expect(barsIn(blocks)).toEqual(Array.from({ length: bars }, (_, bar) => bar));
          const lengths = blocks.map(({ from, to }) => to - from);
          expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
          expect(barsIn(runsOf(Uint8Array.from(marks, Number)))).toEqual([...marks.keys()].filter((bar) => marks[bar]));
        },
      ),
    );
  });
});

describe("wrong splits", () => {
  const labelled = (...known: number[]): Table => new Table({ known: vectorFromArray(Float64Array.from(known)) });
  it.each<[string, string, Table, unknown, RegExp]>([
    [
      "neither splits nor windows",
      "walk_forward",
      barsOf(10),
      { train: 5 },
      /params\.splits is missing: give it, or both train and test \(train is 5, test is undefined\)/,
    ],
    [
      "overlapping tests",
      "walk_forward",
      barsOf(100),
      { train: 5, test: 10, step: 5 },
      /params\.step is 5, below test 10/,
    ],
    [
      "too few bars",
      "walk_forward",
      barsOf(10),
      { splits: 3, train: 8, test: 2 },
      /10 bars is too short for 3 splits with train 8.*it needs 14/,
    ],
    ["no bars", "walk_forward", barsOf(0), { splits: 2 }, /params\.splits is 2: a table of 0 bars/],
    ["no splits", "walk_forward", barsOf(10), { splits: 0 }, /params\.splits is 0/],
    ["more folds than bars", "purged_kfold", barsOf(3), {}, /a table of 3 bars cannot be cut into 5 groups/],
    [
      "nothing left to train on",
      "purged_kfold",
      barsOf(20),
      { splits: 2, purge: 12 },
      /split 0 has no bars left to train on: 20 bars in 2 groups with purge 12/,
    ],
    [
      "all groups tested",
      "cpcv",
      barsOf(20),
      { groups: 4, testGroups: 4 },
      /params\.testGroups is 4: it must be below groups, 4/,
    ],
    [
      "a label before its bar",
      "purged_kfold",
      labelled(0, 0, 2),
      { splits: 2, labelEnd: "known" },
      /column "known" is 0 in row 1; expected a row number/,
    ],
    [
      "half a row",
      "purged_kfold",
      labelled(0.5, 1, 2),
      { splits: 2, labelEnd: "known" },
      /column "known" is 0\.5 in row 0/,
    ],
    [
      "both kinds of label",
      "purged_kfold",
      labelled(0, 1),
      { splits: 2, labelEnd: "known", purge: 1 },
      /params\.purge is 1 beside labelEnd "known"/,
    ],
    ["a negative embargo", "cpcv", barsOf(20), { embargo: -1 }, /params\.embargo is -1/],
  ])("%s", (_, kernel, table, params, message) => {
    const fault = faultOf(() => run(kernel, table, params));
    expect(fault.code).toBe("INVALID_ARGUMENT");
    expect(fault.message).toMatch(message);
  });

  it("a split that is not in the table, and ranges beyond the bars", () => {
    const table = run("purged_kfold", barsOf(20), { splits: 2 });
    expect(faultOf(() => splitIn(table, 2, 20)).message).toMatch(/split is 2: .*it has splits 0 to 1/);
    expect(faultOf(() => splitIn(table, 0, 15)).message).toMatch(
      /splits: row 0 is bars 10 to 20 of a table of 15 bars/,
    );
    expect(faultOf(() => run("cpcv", barsOf(1_000), { groups: 40, testGroups: 10 })).code).toBe("TOO_LARGE");
  });
});
