/** The thread that decodes Parquet files (parquet.ts). */
import type { Ingested } from "../ingest/ingested.js";
import { owned, serveThread } from "../ingest/serve.js";
import { describe, load, type ParquetDescription, type ParquetRequest } from "./decode-parquet.js";

serveThread<ParquetRequest, ParquetDescription | Ingested>((request) =>
  request.what === "load" ? owned(load(request)) : { result: describe(request), transfer: [] },
);
