/** What a mutation is: small, plausible mistakes, as replacements in the compiled product (mutation-tree.ts). */
import type { FaultRates } from "./fault-rates.js";

export interface Edit {
  /** Path in the compiled tree. */
  readonly file: string;
  readonly find: string;
  readonly put: string;
}

export interface Mutation {
  readonly doc: string;
  readonly area:
    | "lineage"
    | "strike"
    | "retries"
    | "reuse"
    | "stealing"
    | "reports"
    | "retention"
    | "drain"
    | "sessions"
    | "keys"
    | "objects"
    | "command"
    | "shell"
    | "agent"
    | "session";
  readonly edits: readonly Edit[];
  /** Misfortunes that the bug needs to show; the seeds' own are rarer. */
  readonly faults?: Partial<FaultRates>;
}
