/** For tests: the values of bench/peers/statistics_fixtures.py, and what tests of these kernels share. */
import { readFileSync } from "node:fs";
import { Table } from "apache-arrow";
import { VolleyError } from "../../../proto/errors.js";
import { float64Vector } from "../../columns/building.js";

type Ranges = readonly (readonly [number, number])[];
type Values = Readonly<Record<string, number | null>>;
/**
 * Of three counts of trials and variances of their Sharpe ratios: SR*, and the probability of a Sharpe ratio above it.
 */
type Deflated = { readonly deflated: readonly (readonly [number, number | null])[] };

export interface StatisticsOracle {
  /** Versions of the peers. */
  readonly made: Readonly<Record<string, string>>;
  /** Series that both sides make for themselves (conformance-rows.ts). */
  readonly long: Readonly<
    Record<string, Values & Deflated & { readonly drawdowns: readonly (readonly (number | null)[])[] }>
  >;
  /** By series. */
  readonly vectorbt: Readonly<Record<string, Values>>;
  readonly series: Readonly<
    Record<
      string,
      Values &
        Deflated & {
          readonly returns: readonly (number | null)[];
          readonly drawdowns: readonly (readonly (number | null)[])[];
        }
    >
  >;
  readonly walkForward: readonly {
    bars: number;
    splits: number;
    test: number | null;
    train: number | null;
    purge: number;
    found: readonly (readonly [Ranges, Ranges])[];
  }[];
  readonly kfold: readonly { bars: number; splits: number; found: readonly (readonly [Ranges, Ranges])[] }[];
  readonly cpcv: readonly {
    bars: number;
    groups: number;
    testGroups: number;
    purge: number;
    embargo: number;
    paths: number;
    pathIds: readonly (readonly number[])[];
    found: readonly (readonly [Ranges, readonly Ranges[]])[];
  }[];
  readonly overfitting: readonly (Values & {
    readonly blocks: number;
    readonly returns: readonly (readonly number[])[];
  })[];
  /** Of trials that both sides make for themselves. */
  readonly longOverfitting: readonly (Values & { readonly blocks: number })[];
  readonly bootstrap: BootstrapCase;
  readonly longBootstrap: BootstrapCase;
}

interface BootstrapCase {
  readonly seed: number;
  readonly meanBlock: number;
  readonly rows: readonly (readonly number[])[];
  readonly sharpe: readonly number[];
  readonly maxDrawdown: readonly number[];
  readonly interval: Readonly<Record<string, number>>;
}

/** `import.meta.url` is that of a compiled file, dist/kernels/statistics/…. */
export const readStatisticsOracle = (): StatisticsOracle =>
  JSON.parse(
    readFileSync(new URL("../../../../kernels/fixtures/statistics-oracle.json", import.meta.url), "utf8"),
  ) as StatisticsOracle;

/** null: missing. */
export const tableOf = (columns: Readonly<Record<string, readonly (number | null)[]>>): Table =>
  new Table(
    Object.fromEntries(
      Object.entries(columns).map(([name, values]) => [
        name,
        float64Vector(Float64Array.from(values, (value) => value ?? Number.NaN)),
      ]),
    ),
  );

/** A row as it prints: null where missing. */
export const rowsOf = (table: Table): Record<string, unknown>[] =>
  table.toArray().map((row) => row.toJSON() as Record<string, unknown>);

/** The coded error that `act` throws; any other is a failure. */
export function faultOf(act: () => unknown): VolleyError {
  try {
    act();
  } catch (error) {
    if (error instanceof VolleyError) return error;
    throw error;
  }
  throw new Error("expected an error");
}
