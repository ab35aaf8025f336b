/** The report: one HTML file that needs nothing else, neither network nor fonts, and reads without its script. */
import { chance, isoDay, megabytes, percent, ratio, seconds, whole } from "../number-text.js";
import type { FamilyOutcome, StrategyOutcome, SweepOutcome } from "../outcome.js";
import { demoSettings, tradesMin } from "../plan.js";
import { fullColour, heatMap, legendGradient, map } from "./heat-map.js";
import { type Curve, lineChart, plot } from "./line-chart.js";
import { reportScript } from "./script.js";
import { reportStyle } from "./style.js";

/** What the cluster did. */
export interface RunFacts {
  readonly tasks: number;
  readonly workers: number;
  /** Of all results of the first run. */
  readonly resultBytes: number;
  readonly inputBytes: number;
  readonly combinations: number;
  readonly sdk: {
    readonly seconds: number;
    readonly digest: string;
    readonly executed: number;
    readonly reused: number;
  };
  readonly gateway: {
    readonly seconds: number;
    readonly digest: string;
    readonly executed: number;
    readonly reused: number;
  };
}

/** A strategy passes if luck among so many trials explains it with less than one chance in twenty. */
const passes = 0.95;

export function reportPage(outcome: SweepOutcome, facts: RunFacts): string {
  const strategies: readonly StrategyOutcome[] = [...outcome.families, outcome.benchmark];
  const curves: Curve[] = strategies.map(({ name, title, equity }) => ({ key: name, label: title, values: equity }));
  const years = `${isoDay(outcome.days[0] as number).slice(0, 4)}–${isoDay(outcome.days.at(-1) as number).slice(0, 4)}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Volley: S&amp;P 500 sweep</title>
<style>${reportStyle}</style>
</head>
<body>
<main>
<h1>${whole(facts.combinations)} strategies on the S&amp;P 500, ${years}</h1>
<p class="lead">Three families of rules, every parameter combination traded with costs on ${whole(outcome.days.length)} daily bars. Parameters were chosen on the years to ${demoSettings.inSampleEnd}; the years after it judge the choice.</p>
<p class="finding">${finding(outcome)}</p>

<h2>The best of each family</h2>
<p class="note">Chosen by in-sample Sharpe ratio among combinations with at least ${tradesMin} trades in sample. Deflated Sharpe: the chance that the true in-sample Sharpe ratio beats what luck alone gives the best of ${whole(outcome.trials)} trials (${ratio(outcome.luckSharpe)} a year); the mark stands at ${percent(passes, 0)}. Buy and hold was not chosen among trials.</p>
<div class="panel">${verdictTable(strategies)}</div>

<h2>Value of one unit, after costs</h2>
<p class="note">Marked to market at each close, logarithmic scale.</p>
<div class="panel">${equityChart(curves, outcome)}</div>

<h2>Fall from the peak</h2>
<p class="note">At the right the deepest fall of the twenty years.</p>
<div class="panel">${drawdownChart(curves, outcome)}</div>

<h2>Every combination</h2>
<p class="note">Sharpe ratio against buy and hold over the same years. Where a family has a third parameter, each cell shows the choice of it that was best in sample. Cells without colour traded less than ${tradesMin} times in sample.</p>
<div class="panel">${maps(outcome)}</div>

<h2>How it ran</h2>
${howItRan(facts)}

<footer>Signals are read at a bar's close and filled at the next open, ${percent(demoSettings.slippage, 2)} worse than its price, with fees of ${percent(demoSettings.fees, 1)} of the value each way; long or in cash, whole capital. Prices are adjusted closes; cash earns nothing. Sharpe ratio: mean over sample standard deviation of daily returns, times √${demoSettings.periodsPerYear}. Deflated Sharpe ratio after Bailey and López de Prado (2014). Data: vega-datasets, sp500-2000.csv. Past prices, not advice.</footer>
</main>
<div id="tip" role="status"></div>
<script type="application/json" id="data">${chartData(outcome, curves)}</script>
<script>${reportScript}</script>
</body>
</html>
`;
}

function finding({ families, benchmark, trials, luckSharpe }: SweepOutcome): string {
  const passing = families.filter((family) => (family.deflatedSharpe ?? 0) >= passes);
  const beaten = families.filter((family) => (family.inSample.sharpe ?? 0) > (benchmark.inSample.sharpe ?? 0)).length;
  const held = families.filter((family) => (family.outOfSample.sharpe ?? 0) > (benchmark.outOfSample.sharpe ?? 0));
  const words = ["none", "one", "two", "all three"];
  const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
  const luck =
    passing.length === 0
      ? "None of the three winners can be told from luck"
      : `${passing.map((family) => family.title).join(" and ")} can be told from luck`;
  return `${luck}: the best of ${whole(trials)} worthless strategies would be expected to show a Sharpe ratio of ${ratio(luckSharpe)} in sample. ${capital(words[beaten] ?? "none")} beat buy and hold in sample; out of sample ${words[held.length]}${held.length === 1 ? ` (${held[0]?.title.toLowerCase()})` : ""} did.`;
}

function verdictTable(strategies: readonly StrategyOutcome[]): string {
  const side = (values: StrategyOutcome["inSample"]): string =>
    `<td class="gap"><b>${ratio(values.sharpe)}</b></td><td>${percent(values.cagr)}</td><td>${percent(values.maxDrawdown)}</td><td>${whole(values.trades)}</td>`;
  const heads = '<th class="gap">Sharpe</th><th>CAGR</th><th>max. drawdown</th><th>trades</th>';
  const rows = strategies.map((s) => {
    const trials = "trials" in s ? `${s.parameters} · ${whole((s as FamilyOutcome).trials)} trials` : "the benchmark";
    const deflated =
      "trials" in s
        ? `${chance(s.deflatedSharpe)} <span class="meter ${s.name}"><i style="width:${((s.deflatedSharpe ?? 0) * 100).toFixed(1)}%"></i><u></u></span>`
        : "–";
    return `<tr><td><i class="dot ${s.name}"></i><b>${s.title}</b><small>${trials}</small></td>${side(s.inSample)}${side(s.outOfSample)}<td class="gap">${deflated}</td></tr>`;
  });
  return `<table class="verdict"><thead><tr><th></th><th class="group gap" colspan="4">In sample</th><th class="group gap" colspan="4">Out of sample</th><th class="group gap">Luck</th></tr><tr><th></th>${heads}${heads}<th class="gap">deflated Sharpe</th></tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

const equityChart = (curves: readonly Curve[], outcome: SweepOutcome): string =>
  lineChart(
    {
      id: "equity",
      title: "Value of each strategy over the years, logarithmic",
      height: 420,
      scale: "log",
      sides: true,
      ticks: [0.25, 0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6, 8],
      tick: (value) => `${value}×`,
      end: (curve) => `${(curve.values.at(-1) ?? 0).toFixed(2)}×`,
    },
    curves,
    outcome,
  );

function drawdownChart(curves: readonly Curve[], outcome: SweepOutcome): string {
  const falls = curves.map((curve) => {
    let peak = 0;
    return {
      ...curve,
      values: curve.values.map((value) => {
        peak = Math.max(peak, value);
        return value / peak - 1;
      }),
    };
  });
  return lineChart(
    {
      id: "drawdown",
      title: "Fall of each strategy from its peak over the years",
      height: 250,
      scale: "linear",
      sides: false,
      ticks: [0, -0.1, -0.2, -0.3, -0.4, -0.5, -0.6],
      tick: (value) => percent(value, 0),
      end: (curve) => percent(Math.min(...curve.values), 0),
      filled: true,
    },
    falls,
    outcome,
  );
}

function maps({ families, benchmark, days, split }: SweepOutcome): string {
  const year = (bar: number): string => isoDay(days[bar] as number).slice(0, 4);
  const figure = (family: FamilyOutcome, side: "inSample" | "outOfSample"): string => {
    const { title, surface } = family;
    const image = heatMap({
      id: `${family.name}-${side}`,
      title: `${title}: Sharpe ratio over its parameters, ${side === "inSample" ? "in sample" : "out of sample"}`,
      surface,
      side,
      benchmark: benchmark[side].sharpe ?? 0,
    });
    return `<figure><figcaption>${title}${surface.others.length > 0 ? ` <span>best ${surface.others.join(", ")}</span>` : ""}</figcaption>${image}</figure>`;
  };
  const row = (side: "inSample" | "outOfSample", text: string): string =>
    `<div class="row">${text} · buy and hold ${ratio(benchmark[side].sharpe)}</div>${families.map((family) => figure(family, side)).join("")}`;
  return `<div class="maps">${row("inSample", `In sample, ${year(0)}–${year(split - 1)}`)}${row("outOfSample", `Out of sample, ${year(split)}–${year(days.length - 1)}`)}</div>
<div class="legend">worse by ${fullColour} or more <span class="bar" style="background:${legendGradient()}"></span> better by ${fullColour} or more <span class="ring"></span> the combination chosen in sample</div>`;
}

function howItRan(facts: RunFacts): string {
  const fact = (value: string, label: string): string => `<div class="fact"><b>${value}</b><span>${label}</span></div>`;
  const same = facts.sdk.digest === facts.gateway.digest;
  const run = (name: string, r: RunFacts["sdk"]): string =>
    `<tr><td>${name}</td><td>${seconds(r.seconds)}</td><td>${whole(r.executed)}</td><td>${whole(r.reused)}</td><td><code>${r.digest}</code></td></tr>`;
  return `<div class="facts">${fact(whole(facts.combinations), "combinations")}${fact(whole(facts.tasks), "tasks")}${fact(whole(facts.workers), facts.workers === 1 ? "worker" : "workers")}${fact(seconds(facts.sdk.seconds), "for the sweep")}${fact(megabytes(facts.resultBytes), "of results")}${fact(megabytes(facts.inputBytes), "of prices")}</div>
<div class="panel"><p class="note">The same job twice: from the TypeScript SDK, then as JSON over HTTP. ${same ? '<span class="same">✓ Both digests are the same</span>' : "<b>The digests differ</b>"}, and the second run took its results from the content-addressed store.</p>
<table class="digests"><tr><th>submitted through</th><th>took</th><th>tasks executed</th><th>reused</th><th>digest over all results (SHA-256)</th></tr>${run("SDK", facts.sdk)}${run("HTTP gateway", facts.gateway)}</table></div>`;
}

/** Values in thousandths: three digits are more than a screen shows. */
function chartData(outcome: SweepOutcome, curves: readonly Curve[]): string {
  const thousandths = (values: Float64Array): (number | null)[] =>
    Array.from(values, (value) => (Number.isNaN(value) ? null : Math.round(value * 1000)));
  const surfaces = outcome.families.flatMap(({ name, surface }) => {
    const data = {
      xName: surface.x.name,
      yName: surface.y.name,
      x: surface.x.values,
      y: surface.y.values,
      inSample: thousandths(surface.inSample),
      outOfSample: thousandths(surface.outOfSample),
    };
    return [`${name}-inSample`, `${name}-outOfSample`].map((id) => [id, data]);
  });
  return JSON.stringify({
    plot,
    map,
    days: Array.from(outcome.days),
    curves: curves.map(({ key, label, values }) => ({ key, label, values: thousandths(values) })),
    surfaces: Object.fromEntries(surfaces),
  }).replaceAll("<", "\\u003c");
}
