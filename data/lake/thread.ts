/** The thread that decodes Parquet files (parquet.ts). */
import { owned, serveThread } from "../ingest/serve.js";
import { describe, load, type ParquetDescription, type ParquetLoaded, type ParquetRequest } from "./decode-parquet.js";

serveThread<ParquetRequest, ParquetDescription | ParquetLoaded>((request) =>
  request.what === "load" ? owned(load(request)) : { result: describe(request), transfer: [] },
);
