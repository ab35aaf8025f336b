/** The thread that decodes uploads (ingest-pool.ts). */
import { decode } from "./decode.js";
import type { Ingested, IngestOptions } from "./ingested.js";
import { answering, owned } from "./serve.js";

export interface ThreadRequest {
  readonly bytes: Uint8Array;
  readonly options: IngestOptions;
}

export const answer = answering<ThreadRequest, Ingested>(({ bytes, options }) => owned(decode(bytes, options)));
