/**
 * For tests: the S&P 500's daily bars 2000–2020 of the npm package vega-datasets, read without any of our own code, and
 * the oracle's values.
 */
import { readFileSync } from "node:fs";
import { Table, Utf8, vectorFromArray } from "apache-arrow";
import type { Statistics } from "../simulate.js";

export function realPrices(): Table {
  const csv = readFileSync(new URL("../data/sp500-2000.csv", import.meta.resolve("vega-datasets")), "utf8");
  const [header = "", ...lines] = csv.trim().split("\n");
  const rows = lines.map((line) => line.split(","));
  return new Table(
    Object.fromEntries(
      header.split(",").map((name, column) => [
        name,
        name === "date"
          ? vectorFromArray(
              rows.map((row) => row[column]),
              new Utf8(),
            )
          : vectorFromArray(Float64Array.from(rows, (row) => Number(row[column]))),
      ]),
    ),
  );
}

type OracleStatistics = { readonly [K in keyof Statistics]: Statistics[K] | null };

export interface Oracle {
  readonly settings: { fees: number; slippage: number; inSampleEnd: string; periodsPerYear: number };
  readonly families: Readonly<
    Record<string, readonly { parameters: number[]; In: OracleStatistics; Out: OracleStatistics; finalValue: number }[]>
  >;
  readonly rsi: Readonly<Record<string, number[]>>;
  readonly normal: { readonly cdf: [number, number][]; readonly quantile: [number, number][] };
  readonly sharpe: readonly Readonly<
    Record<
      | "sharpe"
      | "observations"
      | "skewness"
      | "kurtosis"
      | "trials"
      | "variance"
      | "expectedMax"
      | "probabilistic"
      | "deflated",
      number
    >
  >[];
}

/**
 * Values computed by bench/peers/sweep_oracle.py; `import.meta.url` is that of a compiled file, dist/kernels/sweep/….
 */
export const readOracle = (): Oracle =>
  JSON.parse(
    readFileSync(new URL("../../../../kernels/fixtures/sweep-oracle.json", import.meta.url), "utf8"),
  ) as Oracle;
