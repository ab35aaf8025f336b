/** The decoders behind one function; runs inside the thread. Nothing here keeps state from one call to the next. */
import { createHash } from "node:crypto";
import { VolleyError } from "../../proto/errors.js";
import { decodeArrow } from "./arrow-stream.js";
import { decodeCsv } from "./csv.js";
import { cellsMax, type Ingested, type IngestOptions, ingestDefaults } from "./ingested.js";
import { decodeJsonRows } from "./json-rows.js";

export function decode(bytes: Uint8Array, options: IngestOptions): Ingested {
  if (options.sha256 !== undefined) {
    const found = createHash("sha256").update(bytes).digest("hex");
    if (found !== options.sha256.toLowerCase())
      throw new VolleyError("INVALID_DATA", `the ${bytes.byteLength} bytes have the SHA-256 ${found}, not ${options.sha256} as announced`);
  }
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
