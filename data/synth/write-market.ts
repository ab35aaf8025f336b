/** A market as a folder of Parquet files. Same options, same bytes. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { writeParquet } from "../lake/index.js";
import { type MarketOptions, makeMarket } from "./market.js";
import { pricesOfDays, pricesOfSymbol, splitsTable, statementsTable, symbolsTable } from "./tables.js";

export interface WriteMarketOptions extends MarketOptions {
  readonly out: string;
  /** prices/<symbol>.parquet, or prices/<year>-<month>.parquet with every symbol of each date. */
  readonly by: "symbol" | "date";
  readonly onProgress?: (done: number, of: number) => void;
}

export interface WrittenMarket {
  readonly out: string;
  readonly seed: number;
  readonly symbols: number;
  readonly years: number;
  readonly effect: number;
  readonly tradingDays: number;
  readonly prices: number;
  readonly statements: number;
  readonly splits: number;
  readonly delisted: number;
  readonly files: number;
  readonly bytes: number;
}

/**
 * Writes prices/*.parquet, statements, symbols and splits.parquet, and market.json with what was planted. Throws
 * INVALID_ARGUMENT.
 */
export async function writeMarket(options: WriteMarketOptions): Promise<WrittenMarket> {
  const { out, by, onProgress, seed, symbols, years, effect = 0.1 } = options;
  const market = makeMarket(options);
  const statements = statementsTable(market);
  const splits = splitsTable(market);
  const parts =
    by === "symbol"
      ? market.symbols.map((history) => ({ name: history.symbol, table: () => pricesOfSymbol(market, history) }))
      : months(market);
  let [bytes, prices, files] = [0, 0, 0];
  const write = async (name: string, table: ReturnType<typeof statementsTable>): Promise<void> => {
    bytes += (await writeParquet(path.join(out, `${name}.parquet`), table)).bytes;
    onProgress?.(++files, parts.length + 3);
  };
  for (const { name, table } of parts) {
    const made = table();
    prices += made.numRows;
    await write(`prices/${name}`, made);
  }
  await write("statements", statements);
  await write("symbols", symbolsTable(market));
  await write("splits", splits);
  const written: WrittenMarket = {
    out,
    seed,
    symbols,
    years,
    effect,
    tradingDays: market.calendar.days.length,
    prices,
    statements: statements.numRows,
    splits: splits.numRows,
    delisted: market.symbols.filter(({ failed }) => failed).length,
    files: files + 1,
    bytes,
  };
  const { out: _, ...facts } = written;
  await writeFile(path.join(out, "market.json"), `${JSON.stringify({ ...facts, planted: market.planted }, null, 2)}\n`);
  return written;
}

function months(market: ReturnType<typeof makeMarket>) {
  const { days } = market.calendar;
  const monthOf = (d: number): string => new Date((days[d] as number) * 86_400_000).toISOString().slice(0, 7);
  const parts: { name: string; table: () => ReturnType<typeof statementsTable> }[] = [];
  for (let from = 0; from < days.length; ) {
    const name = monthOf(from);
    const start = from;
    while (from < days.length && monthOf(from) === name) from++;
    const end = from;
    parts.push({ name, table: () => pricesOfDays(market, start, end) });
  }
  return parts;
}
