/** What a suite measures, how repeats become one figure, and how figures are shown. */
import Table from "cli-table3";

export interface Measure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it is compared with, measured in the same run; null: there was none. */
  readonly peer: string | null;
  readonly peerValue: number | null;
  /** How many times better than the peer, whichever direction is better. */
  readonly ratio: number | null;
  readonly p50?: number;
  readonly p99?: number;
  /** Every repeat, in order. */
  readonly repeats?: readonly number[];
  readonly note?: string;
}

export interface Suite {
  readonly doc: string;
  run(options: SuiteOptions): Promise<Measure[]>;
}

export interface SuiteOptions {
  readonly repeats: number;
  /** Hears what is going on; not part of the result. */
  log(line: string): void;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)] as number;
  const high = sorted[Math.ceil(at)] as number;
  return low + (high - low) * (at - Math.floor(at));
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** The median of the repeats, beside the median of the peer's if there are any. */
export function measure(
  name: string,
  unit: string,
  repeats: readonly number[],
  options: {
    better: "higher" | "lower";
    peer?: string;
    peerRepeats?: readonly number[];
    p50?: number;
    p99?: number;
    note?: string;
  },
): Measure {
  const value = median(repeats);
  const peerValue = options.peerRepeats && options.peerRepeats.length > 0 ? median(options.peerRepeats) : null;
  const ratio = peerValue === null ? null : options.better === "higher" ? value / peerValue : peerValue / value;
  const { p50, p99, note } = options;
  return {
    name,
    value,
    unit,
    peer: peerValue === null ? null : (options.peer ?? null),
    peerValue,
    ratio,
    ...(p50 === undefined ? {} : { p50 }),
    ...(p99 === undefined ? {} : { p99 }),
    repeats,
    ...(note === undefined ? {} : { note }),
  };
}

const shown = (value: number | null): string =>
  value === null ? "–" : Number(value.toPrecision(3)).toLocaleString("en-US", { maximumFractionDigits: 3 });

export function tableOf(measures: readonly Measure[]): string {
  const table = new Table({
    head: ["measure", "value", "unit", "p50", "p99", "peer", "peer's value", "ratio"],
    style: { head: [], border: [] },
  });
  for (const { name, value, unit, p50, p99, peer, peerValue, ratio } of measures) {
    table.push([
      name,
      shown(value),
      unit,
      shown(p50 ?? null),
      shown(p99 ?? null),
      peer ?? "–",
      shown(peerValue),
      ratio === null ? "–" : `${shown(ratio)}x`,
    ]);
  }
  const notes = measures.filter(({ note }) => note !== undefined).map(({ name, note }) => `${name}: ${note}`);
  return [table.toString(), ...notes].join("\n");
}
