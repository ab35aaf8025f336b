/** Files as data: Parquet in and out, CSV in, and lakes of many files as datasets. */
export type { ParquetDescription } from "./decode-parquet.js";
export { type Lake, type LakeOptions, openLake, type Partition, type TakesTables } from "./lake.js";
export {
  describeParquet,
  type ParquetReadOptions,
  type ParquetSource,
  type ParquetTable,
  readParquet,
} from "./parquet.js";
export type { Operator, Predicate, PredicateValue } from "./predicate.js";
export { encodeParquet, ParquetEncoder, type ParquetWriteOptions, writeParquet } from "./write-parquet.js";
