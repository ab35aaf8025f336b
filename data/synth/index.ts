/** Synthetic markets from a seed, with a planted effect, for examples, tests and demonstrations of look-ahead. */
export { type Market, type MarketOptions, makeMarket, type SymbolHistory } from "./market.js";
export { closeMs } from "./tables.js";
export { type WriteMarketOptions, type WrittenMarket, writeMarket } from "./write-market.js";
