/** What went wrong with one task so far. */
import type { WireError } from "../../proto/errors.js";
import type { StoredResult } from "../../proto/messages/results.js";
import type { Silence } from "./silence-record.js";

export interface FailureRecord {
  /** Tries that ended without a commit. */
  attempts: number;
  /** Failures of the user's own function (these spend `retries`; durable). */
  userFailures: number;
  /** Deaths of workers that were executing the task (I8). */
  strikes: number;
  /** Failures that a worker reported and that were not the function's. */
  infraFailures: number;
  lastError: WireError | undefined;
  /** Digest of a result that was lost and is being made again. */
  expected: Uint8Array | undefined;
  /**
   * A result that nobody holds who is heard, until a worker says that it has it: the client was shown it before this
   * scheduler began (resume.ts), or its holder is silent (silence.ts). `at`: since when, in listening time.
   */
  claimed?: { readonly stored: StoredResult; readonly at: number; readonly silence?: Silence } | undefined;
}
