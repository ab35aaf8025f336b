/**
 * Curves over the years as inline SVG: value of the accounts, or their fall from the peak. Colours are classes of the
 * page's style sheet.
 */
import { isoDay } from "../number-text.js";
import type { SweepOutcome } from "../outcome.js";

export interface Curve {
  /** Class of the line: its colour. */
  readonly key: string;
  readonly label: string;
  readonly values: Float64Array;
}

export interface LineChart {
  readonly id: string;
  readonly title: string;
  readonly height: number;
  readonly scale: "log" | "linear";
  readonly ticks: readonly number[];
  readonly tick: (value: number) => string;
  /** What stands at a curve's right end. */
  readonly end: (curve: Curve) => string;
  /** Names the two sides of the split. */
  readonly sides: boolean;
  /** Fills the area between the curve and zero. */
  readonly filled?: boolean;
}

export const plot = { width: 1120, left: 56, right: 226, top: 14, bottom: 28 } as const;
const inner = plot.width - plot.left - plot.right;

/**
 * Of each run of bars that share a pixel column only the extremes are drawn: the same picture in a tenth of the bytes.
 */
function thin(values: Float64Array, buckets: number): number[] {
  const kept: number[] = [];
  const size = Math.max(1, values.length / buckets);
  for (let b = 0; b < buckets; b++) {
    const from = Math.floor(b * size);
    const to = Math.min(values.length, Math.floor((b + 1) * size));
    if (from >= to) continue;
    let [low, high] = [from, from];
    for (let i = from; i < to; i++) {
      if ((values[i] as number) < (values[low] as number)) low = i;
      if ((values[i] as number) > (values[high] as number)) high = i;
    }
    kept.push(...(low === high ? [low] : [Math.min(low, high), Math.max(low, high)]));
  }
  if (kept.at(-1) !== values.length - 1) kept.push(values.length - 1);
  return kept;
}

/** Labels at least `gap` apart, near where they belong. */
function spread(wanted: readonly number[], gap: number): number[] {
  const order = wanted.map((_, i) => i).sort((a, b) => (wanted[a] as number) - (wanted[b] as number));
  const placed = [...wanted];
  for (let pass = 0; pass < 50; pass++) {
    for (let k = 1; k < order.length; k++) {
      const [upper, lower] = [order[k - 1] as number, order[k] as number];
      const overlap = gap - ((placed[lower] as number) - (placed[upper] as number));
      if (overlap <= 0) continue;
      placed[upper] = (placed[upper] as number) - overlap / 2;
      placed[lower] = (placed[lower] as number) + overlap / 2;
    }
  }
  return placed;
}

const escapeText = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

export function lineChart(chart: LineChart, curves: readonly Curve[], outcome: SweepOutcome): string {
  const { days, split } = outcome;
  const bottom = chart.height - plot.bottom;
  const [first, last] = [days[0] as number, days.at(-1) as number];
  const x = (bar: number): number => plot.left + (((days[bar] as number) - first) / (last - first)) * inner;
  const lift = chart.scale === "log" ? Math.log : (value: number): number => value;
  const all = curves.flatMap((curve) => thin(curve.values, 400).map((i) => curve.values[i] as number));
  const low = lift(Math.min(...all, ...(chart.scale === "linear" ? chart.ticks : [])));
  const high = lift(Math.max(...all, ...(chart.scale === "linear" ? chart.ticks : [])));
  const y = (value: number): number => plot.top + ((high - lift(value)) / (high - low)) * (bottom - plot.top);
  const at = (n: number): string => n.toFixed(1);

  const grid = chart.ticks
    .filter((tick) => lift(tick) >= low - 1e-9 && lift(tick) <= high + 1e-9)
    .map(
      (tick) =>
        `<line class="grid" x1="${plot.left}" x2="${plot.left + inner}" y1="${at(y(tick))}" y2="${at(y(tick))}"/><text class="tick" x="${plot.left - 8}" y="${at(y(tick) + 4)}" text-anchor="end">${chart.tick(tick)}</text>`,
    );
  const years = yearTicks(days).map(
    ([bar, year]) => `<text class="tick" x="${at(x(bar))}" y="${chart.height - 8}" text-anchor="middle">${year}</text>`,
  );
  const paths = curves.map((curve) => {
    const points = thin(curve.values, inner / 2).map((i) => `${at(x(i))} ${at(y(curve.values[i] as number))}`);
    const area = chart.filled
      ? `<path class="area ${curve.key}" d="M${at(x(0))} ${at(y(0))}L${points.join("L")}L${at(x(days.length - 1))} ${at(y(0))}Z"/>`
      : "";
    return `${area}<path class="line ${curve.key}" d="M${points.join("L")}"/>`;
  });
  const ends = spread(
    curves.map((curve) => y(curve.values.at(-1) as number)),
    17,
  );
  const labels = curves.map(
    (curve, i) =>
      `<text class="end ${curve.key}" x="${plot.left + inner + 10}" y="${at((ends[i] as number) + 4)}">${escapeText(curve.label)} <tspan class="value">${escapeText(chart.end(curve))}</tspan></text>`,
  );
  return `<svg class="chart" id="${chart.id}" viewBox="0 0 ${plot.width} ${chart.height}" role="img" aria-label="${escapeText(chart.title)}" data-top="${plot.top}" data-bottom="${bottom}">
<rect class="outside" x="${at(x(split))}" y="${plot.top}" width="${at(plot.left + inner - x(split))}" height="${bottom - plot.top}"/>
${grid.join("")}${years.join("")}
<line class="split" x1="${at(x(split))}" x2="${at(x(split))}" y1="${plot.top}" y2="${bottom}"/>
${chart.sides ? sides(x(split), isoDay(days[split] as number)) : ""}
${paths.reverse().join("\n")}
${labels.join("")}
<line class="cursor" y1="${plot.top}" y2="${bottom}" visibility="hidden"/>
</svg>`;
}

const sides = (x: number, from: string): string =>
  `<text class="side" x="${(x - 8).toFixed(1)}" y="${plot.top + 14}" text-anchor="end">in sample</text><text class="side" x="${(x + 8).toFixed(1)}" y="${plot.top + 14}">out of sample from ${from}</text>`;

/** The first bar of every second year. */
function yearTicks(days: Int32Array): [number, number][] {
  const ticks: [number, number][] = [];
  let before = 0;
  days.forEach((day, bar) => {
    const year = new Date(day * 86_400_000).getUTCFullYear();
    if (year !== before && year % 2 === 0) ticks.push([bar, year]);
    before = year;
  });
  return ticks;
}
