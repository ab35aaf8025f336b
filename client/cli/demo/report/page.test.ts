import { inflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { FamilyOutcome, SideValues, SweepOutcome } from "../outcome.js";
import { summaryJson, summaryTable } from "../summary.js";
import { type RunFacts, reportPage } from "./page.js";
import { pngDataUrl } from "./png.js";

const bars = 600;
const values = (sharpe: number | null): SideValues => ({
  sharpe,
  cagr: 0.05,
  maxDrawdown: -0.2,
  totalReturn: 0.5,
  volatility: 0.1,
  trades: 12,
});
const equity = (drift: number): Float64Array =>
  Float64Array.from({ length: bars }, (_, i) => Math.exp(drift * i + 0.1 * Math.sin(i / 20)));
const family = (name: string, deflatedSharpe: number, out: number | null): FamilyOutcome => ({
  name,
  title: `Family <${name}>`,
  parameters: "a 1, b 2",
  inSample: values(0.5),
  outOfSample: values(out),
  probabilisticSharpe: 0.9,
  deflatedSharpe,
  equity: equity(0.001),
  trials: 100,
  surface: {
    x: { name: "a", values: [1, 2, 3] },
    y: { name: "b", values: [1, 2] },
    inSample: Float64Array.of(0.1, Number.NaN, 0.3, 0.4, 0.5, 0.6),
    outOfSample: Float64Array.of(0.1, Number.NaN, 0.3, 0.4, 0.5, 0.6),
    best: { x: 1, y: 2 },
    others: ["c"],
  },
});
const outcome: SweepOutcome = {
  families: [family("ma-cross", 0.2, null), family("rsi-reversion", 0.97, 0.9), family("channel-breakout", 0.1, 0.1)],
  benchmark: {
    name: "buy-and-hold",
    title: "Buy and hold",
    parameters: "",
    inSample: values(0.1),
    outOfSample: values(0.6),
    probabilisticSharpe: 0.6,
    deflatedSharpe: 0.6,
    equity: equity(0.0005),
  },
  trials: 300,
  luckSharpe: 0.7,
  days: Int32Array.from({ length: bars }, (_, i) => 10_957 + i),
  split: 400,
};
const run = (digest: string, executed: number): RunFacts["sdk"] => ({
  seconds: 1.5,
  digest,
  executed,
  reused: 10 - executed,
});
const facts: RunFacts = {
  tasks: 10,
  workers: 2,
  resultBytes: 5_000_000,
  inputBytes: 200_000,
  combinations: 300,
  sdk: run("aa", 10),
  gateway: run("aa", 0),
};

describe("the report", () => {
  const page = reportPage(outcome, facts);

  it("needs nothing but itself", () => {
    expect(page).not.toMatch(/(?:src|href)=["'](?!data:)/);
    expect(page).not.toMatch(/https?:|@import|url\(/);
  });

  it("shows no figure that is not one", () => {
    expect(page.replace(/<script>[\s\S]*/, "")).not.toMatch(/NaN|undefined|Infinity|null×/);
    expect(page).toContain("<b>–</b>");
  });

  it("says who passed and whether the digests agree", () => {
    expect(page).toContain("can be told from luck: the best of 300 worthless strategies");
    expect(page).toContain("Both digests are the same");
    expect(reportPage(outcome, { ...facts, gateway: run("bb", 0) })).toContain("The digests differ");
  });

  it("carries its data as JSON that a script can read", () => {
    const json = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)?.[1] ?? "";
    const data = JSON.parse(json) as {
      days: number[];
      curves: { values: number[] }[];
      surfaces: Record<string, { inSample: (number | null)[] }>;
    };
    expect(data.days).toHaveLength(bars);
    expect(data.curves.map((curve) => curve.values.length)).toEqual([bars, bars, bars, bars]);
    expect(data.surfaces["ma-cross-inSample"]?.inSample).toEqual([100, null, 300, 400, 500, 600]);
  });

  it("writes images that hold the pixels they were given", () => {
    const png = Buffer.from(
      pngDataUrl(3, 2, Uint8Array.of(0, 1, 2, 2, 1, 0), [
        [0, 0, 0, 0],
        [255, 0, 0, 255],
        [0, 0, 255, 255],
      ]).split(",")[1] as string,
      "base64",
    );
    expect(png.subarray(1, 4).toString()).toBe("PNG");
    const at = png.indexOf("IDAT");
    expect([...inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)))]).toEqual([0, 0, 1, 2, 0, 2, 1, 0]);
  });
});

describe("the summary", () => {
  it("lists every family and the benchmark, a dash where there is no figure", () => {
    const table = summaryTable(outcome);
    for (const title of ["Family <ma-cross>", "Family <rsi-reversion>", "Buy and hold"]) expect(table).toContain(title);
    expect(table).toContain("–");
  });

  it("as JSON has what a script asks for", () => {
    const json = JSON.parse(JSON.stringify(summaryJson(outcome, facts, 12.3, "/tmp/report.html"))) as Record<
      string,
      unknown
    >;
    expect(json).toMatchObject({
      combinations: 300,
      digestSdk: "aa",
      digestGateway: "aa",
      secondRunTasksExecuted: 0,
      secondRunTasksReused: 10,
      seconds: 12.3,
      tasks: 10,
      workers: 2,
    });
    expect((json.families as unknown[]).length).toBe(3);
  });
});
