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
  if (error instanceof Interrupted)
    return { code: "INTERRUPTED", message: "interrupted", exitCode: exitCodes.interrupted };
  if (error instanceof InvariantViolation)
    return {
      code: "INVARIANT_VIOLATION",
      message: `This is a bug in Volley: ${error.message}`,
      exitCode: exitCodes.bug,
    };
  if (error instanceof JobFailed) return { ...toCliFailure(error.cause), exitCode: exitCodes.failure };
  if (isVolleyError(error)) {
    const usage =
      error.code === "INVALID_ARGUMENT" || error.code === "INVALID_GRAPH" || error.code === "FUNCTION_NOT_FOUND";
    return {
      code: error.code,
      message: error.message,
      exitCode: usage ? exitCodes.usage : exitCodes.failure,
      ...(error.details ? { details: error.details } : {}),
    };
  }
  const file = fileFault(error);
  if (file !== undefined) return { code: "USAGE", message: file, exitCode: exitCodes.usage };
  return {
    code: "INTERNAL",
    message: error instanceof Error ? error.message : String(error),
    exitCode: exitCodes.failure,
  };
}

const fileFaults: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  ENOTDIR: "a part of the path is a file and no folder",
  EISDIR: "it is a folder",
  EACCES: "permission denied",
  EPERM: "the operation is not permitted",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EEXIST: "it is there already, and is no folder",
};

/** A file that the command was told to read or write, and cannot. */
function fileFault(error: unknown): string | undefined {
  const { code, path } = (error ?? {}) as { code?: unknown; path?: unknown };
  const why = typeof code === "string" && typeof path === "string" ? fileFaults[code] : undefined;
  return why === undefined ? undefined : `${String(path)}: ${why}`;
}
