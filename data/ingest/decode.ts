/** The decoders behind one function; runs inside the thread. Nothing here keeps state from one call to the next. */
import { decodeArrow } from "./arrow-stream.js";
import { decodeCsv } from "./csv.js";
import { checkDigest } from "./digest.js";
import { cellsMax, type Ingested, type IngestOptions, ingestDefaults } from "./ingested.js";
import { decodeJsonRows } from "./json-rows.js";

export function decode(bytes: Uint8Array, options: IngestOptions): Ingested {
  checkDigest(bytes, options.sha256);
  const limits = { rowsMax: options.rowsMax ?? ingestDefaults.rowsMax, cellsMax };
  const { types, delimiter, nullValues } = options;
  switch (options.format) {
    case "arrow":
      return decodeArrow(bytes, limits);
    case "csv":
      return decodeCsv(bytes, {
        ...limits,
        ...(types ? { types } : {}),
        ...(delimiter === undefined ? {} : { delimiter }),
        ...(nullValues ? { nullValues } : {}),
      });
    case "json":
      return decodeJsonRows(bytes, { ...limits, ...(types ? { types } : {}) });
  }
}
