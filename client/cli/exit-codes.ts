/** What the process's exit status means, and which error leads to which. */
import { InvariantViolation, isVolleyError } from "../../proto/errors.js";

export const exitCodes = {
  ok: 0,
  /** The job or the cluster failed. */
  failure: 1,
  /** The command was not understood, or names something that cannot be. */
  usage: 2,
  /** A bug of Volley's own. */
  bug: 70,
  interrupted: 130,
} as const;

/** A mistake of whoever typed the command. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A job that ended badly: its error's code is shown, but the command was understood. */
export class JobFailed extends Error {
  override readonly name = "JobFailed";
}

/** Ctrl-C, after what had to be cleaned up has been. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

export interface CliFailure {
  readonly code: string;
  readonly message: string;
  readonly exitCode: number;
  readonly details?: unknown;
}

export function toCliFailure(error: unknown): CliFailure {
  if (error instanceof UsageError) return { code: "USAGE", message: error.message, exitCode: exitCodes.usage };
  if (error instanceof Interrupted) return { code: "INTERRUPTED", message: "interrupted", exitCode: exitCodes.interrupted };
  if (error instanceof InvariantViolation)
    return { code: "INVARIANT_VIOLATION", message: `This is a bug in Volley: ${error.message}`, exitCode: exitCodes.bug };
  if (error instanceof JobFailed) return { ...toCliFailure(error.cause), exitCode: exitCodes.failure };
  if (isVolleyError(error)) {
    const usage = error.code === "INVALID_ARGUMENT" || error.code === "INVALID_GRAPH";
    return {
      code: error.code,
      message: error.message,
      exitCode: usage ? exitCodes.usage : exitCodes.failure,
      ...(error.details ? { details: error.details } : {}),
    };
  }
  return { code: "INTERNAL", message: error instanceof Error ? error.message : String(error), exitCode: exitCodes.failure };
}
