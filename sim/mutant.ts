/** What a planted bug is: small, plausible mistakes, as replacements in the compiled product (mutant-tree.ts). */
import type { FaultRates } from "./fault-rates.js";

export interface Edit {
  /** Path in the compiled tree. */
  readonly file: string;
  readonly find: string;
  readonly put: string;
}

export interface Mutant {
  readonly doc: string;
  readonly area:
    | "lineage"
    | "blame"
    | "retries"
    | "reuse"
    | "stealing"
    | "reports"
    | "retention"
    | "drain"
    | "sessions"
    | "keys"
    | "objects"
    | "order"
    | "shell"
    | "agent"
    | "session";
  readonly edits: readonly Edit[];
  /** Misfortunes that the bug needs to show; the seeds' own are rarer. */
  readonly faults?: Partial<FaultRates>;
}
