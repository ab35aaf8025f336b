/** What went wrong with one task so far. */
import type { WireError } from "../../proto/errors.js";
import type { StoredResult } from "../../proto/messages/results.js";

export interface Trouble {
  /** Tries that ended without a commit. */
  attempts: number;
  /** Failures of the user's own function (these spend `retries`; durable). */
  userFailures: number;
  /** Deaths of workers that were executing the task (I8). */
  blames: number;
  /** Failures that a worker reported and that were not the function's. */
  infraFailures: number;
  lastError: WireError | undefined;
  /** Digest of a result that was lost and is being made again. */
  expected: Uint8Array | undefined;
  /** What the client was shown before this scheduler began, until a worker says that it holds it (resume.ts). */
  claimed?: { readonly stored: StoredResult; readonly at: number } | undefined;
}
