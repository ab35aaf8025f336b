/**
 * The Sharpe ratio over two parameters as inline SVG, shown as its distance from buy and hold over the same years: blue
 * is better, orange is worse. The cells are one small image, stretched without smoothing.
 */
import type { Surface } from "../outcome.js";
import { pngDataUrl } from "./png.js";

type Colour = readonly [number, number, number];

/** A distance of this much or more has the full colour. */
export const fullColour = 0.6;
const steps = 101;

const stops: readonly (readonly [number, Colour])[] = [
  [-1, [140, 45, 4]],
  [-0.6, [217, 95, 14]],
  [-0.25, [254, 196, 128]],
  [0, [240, 238, 233]],
  [0.25, [150, 196, 229]],
  [0.6, [43, 124, 190]],
  [1, [8, 48, 107]],
];

function colourAt(position: number): Colour {
  const above = stops.findIndex(([at]) => at >= position);
  const [to, upper] = stops[Math.max(above, 0)] as (typeof stops)[number];
  const [from, lower] = stops[Math.max(above - 1, 0)] as (typeof stops)[number];
  const part = to === from ? 0 : (position - from) / (to - from);
  return [0, 1, 2].map((k) =>
    Math.round((lower[k] as number) + part * ((upper[k] as number) - (lower[k] as number))),
  ) as unknown as Colour;
}

const palette: (readonly [number, number, number, number])[] = [
  [0, 0, 0, 0],
  ...Array.from({ length: steps }, (_, i) => [...colourAt((2 * i) / (steps - 1) - 1), 255] as const),
];

/** Index into the palette; 0 (transparent) where there is no figure. */
const indexOf = (distance: number): number =>
  Number.isNaN(distance)
    ? 0
    : 1 + Math.round(((Math.max(-1, Math.min(1, distance / fullColour)) + 1) / 2) * (steps - 1));

export const legendGradient = (): string =>
  `linear-gradient(90deg, ${stops.map(([at, [r, g, b]]) => `rgb(${r} ${g} ${b}) ${((at + 1) * 50).toFixed(0)}%`).join(", ")})`;

export const map = { width: 356, height: 262, left: 42, right: 14, top: 6, bottom: 36 } as const;

export interface HeatMap {
  readonly id: string;
  readonly title: string;
  readonly surface: Surface;
  readonly side: "inSample" | "outOfSample";
  /** The benchmark's Sharpe ratio over the same years. */
  readonly benchmark: number;
}

export function heatMap({ id, title, surface, side, benchmark }: HeatMap): string {
  const [columns, rows] = [surface.x.values.length, surface.y.values.length];
  const values = surface[side];
  const pixels = new Uint8Array(columns * rows);
  // y grows upwards on paper and downwards in an image.
  for (let row = 0; row < rows; row++)
    for (let c = 0; c < columns; c++)
      pixels[(rows - 1 - row) * columns + c] = indexOf((values[row * columns + c] as number) - benchmark);
  const [width, height] = [map.width - map.left - map.right, map.height - map.top - map.bottom];
  const x = (i: number): number => map.left + ((i + 0.5) / columns) * width;
  const y = (i: number): number => map.top + height - ((i + 0.5) / rows) * height;
  const at = (n: number): string => n.toFixed(1);
  const best = { x: x(surface.x.values.indexOf(surface.best.x)), y: y(surface.y.values.indexOf(surface.best.y)) };
  return `<svg class="map" id="${id}" viewBox="0 0 ${map.width} ${map.height}" role="img" aria-label="${title}">
<rect class="field" x="${map.left}" y="${map.top}" width="${width}" height="${height}"/>
<image href="${pngDataUrl(columns, rows, pixels, palette)}" x="${map.left}" y="${map.top}" width="${width}" height="${height}" preserveAspectRatio="none" style="image-rendering:pixelated"/>
${axisTicks(surface.x.values)
  .map(
    (i) =>
      `<text class="tick" x="${at(x(i))}" y="${map.top + height + 15}" text-anchor="middle">${surface.x.values[i]}</text>`,
  )
  .join("")}
${axisTicks(surface.y.values)
  .map(
    (i) => `<text class="tick" x="${map.left - 6}" y="${at(y(i) + 4)}" text-anchor="end">${surface.y.values[i]}</text>`,
  )
  .join("")}
<text class="axis" x="${map.left + width / 2}" y="${map.height - 5}" text-anchor="middle">${surface.x.name}</text>
<text class="axis" transform="translate(9 ${map.top + height / 2}) rotate(-90)" text-anchor="middle">${surface.y.name}</text>
<circle class="halo" cx="${at(best.x)}" cy="${at(best.y)}" r="6"/><circle class="best" cx="${at(best.x)}" cy="${at(best.y)}" r="6"/>
</svg>`;
}

/** Places of about five round values. */
function axisTicks(values: readonly number[]): number[] {
  const [first = 0, last = 1] = [values[0], values.at(-1)];
  const step = [1, 2, 5, 10, 20, 25, 50, 100, 200, 500].find((size) => (last - first) / size <= 6) ?? 1_000;
  return values.flatMap((value, i) => (value % step === 0 ? [i] : []));
}
