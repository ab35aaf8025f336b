/** The thread that decodes Parquet files (parquet.ts). */
import { answering, owned } from "../ingest/serve.js";
import { describe, load, type ParquetDescription, type ParquetLoaded, type ParquetRequest } from "./decode-parquet.js";

export const answer = answering<ParquetRequest, ParquetDescription | ParquetLoaded>((request) =>
  request.what === "load" ? owned(load(request)) : { result: describe(request), transfer: [] },
);
