/**
 * The one catalogue of errors. The same table drives the wire, the gateway's HTTP status and docs/errors.md.
 * `retry` says what a caller may do:
 *   never            the same request fails again
 *   retry            try again, anywhere
 *   retry-elsewhere  another worker may succeed
 *   unknown-outcome  it may or may not have happened; ask before you repeat
 */
export type RetryClass = "never" | "retry" | "retry-elsewhere" | "unknown-outcome";

interface ErrorEntry {
  readonly retry: RetryClass;
  readonly http: number;
  readonly doc: string;
}

export const errorCatalogue = {
  INVALID_ARGUMENT: {
    retry: "never",
    http: 400,
    doc: "A value is outside what its field allows; the message names field and value.",
  },
  INVALID_GRAPH: {
    retry: "never",
    http: 400,
    doc: "A graph's stages, edges or outputs do not fit together; the message gives the path of the fault.",
  },
  INVALID_DATA: { retry: "never", http: 400, doc: "Bytes from outside (Arrow, CSV, JSON) could not be validated." },
  UNAUTHENTICATED: { retry: "never", http: 401, doc: "No token, or one that is not known." },
  FORBIDDEN: { retry: "never", http: 403, doc: "The request's host or tenant may not do this." },
  JOB_NOT_FOUND: { retry: "never", http: 404, doc: "No job of this id: never submitted, or already forgotten." },
  OBJECT_NOT_FOUND: { retry: "never", http: 404, doc: "No object of this id is known to the cluster." },
  FUNCTION_NOT_FOUND: {
    retry: "never",
    http: 400,
    doc: "The bundle has no such export, or no kernel has this name and version.",
  },
  BUNDLE_NOT_FOUND: { retry: "retry", http: 404, doc: "The code bundle is not in the store: deploy it again." },
  ROUTE_NOT_FOUND: { retry: "never", http: 404, doc: "The gateway has no such address; /docs lists those it has." },
  METHOD_NOT_ALLOWED: {
    retry: "never",
    http: 405,
    doc: "The address exists, but not for this method; the Allow header lists those it has.",
  },
  CONFLICT: { retry: "never", http: 409, doc: "The same id or idempotency key was used before with other content." },
  NOT_READY: { retry: "retry", http: 409, doc: "The job has not ended yet; follow its progress and ask again." },
  TOO_LARGE: {
    retry: "never",
    http: 413,
    doc: "A body, message, object or stage is over its limit; the message names both sizes.",
  },
  UNSUPPORTED_TYPE: { retry: "never", http: 415, doc: "The content type is not one the route takes." },
  NOT_ACCEPTABLE: { retry: "never", http: 406, doc: "The result cannot be given in the asked form." },
  RATE_LIMITED: { retry: "retry", http: 429, doc: "More requests than the limit; wait and try again." },

  TASK_FAILED: {
    retry: "never",
    http: 422,
    doc: "The user's function threw; message, name and stack are its own, `cause` is what it threw with code, fields, causes and inner errors.",
  },
  TASK_TIMEOUT: { retry: "never", http: 422, doc: "The task ran longer than its timeoutMs; its thread was ended." },
  TASK_EXITED: {
    retry: "never",
    http: 422,
    doc: "The function ended its thread (process.exit or a crash of the thread).",
  },
  TASK_OUT_OF_MEMORY: {
    retry: "never",
    http: 422,
    doc: "The function exhausted the heap of its thread, or the memory of the machine with its buffers.",
  },
  TASK_UNSERIALIZABLE: {
    retry: "never",
    http: 422,
    doc: "The function returned something that cannot be sent: a function, symbol, cycle or class instance.",
  },
  TASK_QUARANTINED: {
    retry: "never",
    http: 422,
    doc: "The task was executing each time on three workers that died; it is not tried again.",
  },
  UPSTREAM_FAILED: { retry: "never", http: 422, doc: "An input of this task failed; the message names the first one." },
  CANCELLED: { retry: "never", http: 409, doc: "The job or task was cancelled." },
  OBJECT_LOST: {
    retry: "retry",
    http: 410,
    doc: "Every copy is gone and it could not be made again with the same content.",
  },
  NONDETERMINISTIC: {
    retry: "never",
    http: 500,
    doc: "A function declared pure gave two different results for the same inputs.",
  },
  ENGINE_CHANGED: {
    retry: "never",
    http: 409,
    doc: "A lost result of a pure function was made again by another engine (Node version or processor) and differs; submit it again.",
  },
  LOOK_AHEAD: {
    retry: "never",
    http: 422,
    doc: "The look-ahead check found that a result depends on what was not known at its time.",
  },
  OUT_OF_MEMORY: {
    retry: "retry-elsewhere",
    http: 507,
    doc: "The worker's object store and its spill folder are full.",
  },

  NO_SCHEDULER: { retry: "retry", http: 503, doc: "No scheduler answers on this cluster." },
  NO_WORKERS: { retry: "retry", http: 503, doc: "No worker has joined the cluster." },
  NO_LISTENER: { retry: "retry", http: 503, doc: "Nobody listens on the subject that was asked." },
  WORKER_LOST: { retry: "retry-elsewhere", http: 503, doc: "The worker stopped answering." },
  SUPERSEDED: {
    retry: "never",
    http: 409,
    doc: "Another process has joined under this worker's name and is the worker now; every worker needs a name of its own.",
  },
  SESSION_LOST: {
    retry: "unknown-outcome",
    http: 503,
    doc: "The scheduler restarted and does not know this session; submit again.",
  },
  STALE_EPOCH: { retry: "retry", http: 503, doc: "The message came from or for a scheduler that has been replaced." },
  VERSION_MISMATCH: { retry: "never", http: 426, doc: "The two sides' protocol versions are too far apart." },
  DISCONNECTED: { retry: "unknown-outcome", http: 503, doc: "The connection to NATS was lost before the answer came." },
  TIMEOUT: { retry: "unknown-outcome", http: 504, doc: "No answer came in time." },
  CORRUPT: { retry: "retry", http: 502, doc: "A checksum or digest did not match what was announced." },
  CLOSED: { retry: "never", http: 503, doc: "This client, worker or server has been closed." },
  NATS_UNAVAILABLE: {
    retry: "retry",
    http: 503,
    doc: "No nats-server could be found, provisioned or reached; the message lists every source and why it failed.",
  },
  JOURNAL_LOST: {
    retry: "never",
    http: 503,
    doc: "The scheduler's journal is gone, or older than its snapshots; it does not start from that unless told to. The message says what to do.",
  },
  FENCED: { retry: "never", http: 503, doc: "Another scheduler has written to the journal; this one must stop." },
  INTERNAL: { retry: "unknown-outcome", http: 500, doc: "A fault of Volley's own; please report it." },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorCatalogue;

/** The form in which a failure crosses the wire. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  /** Where it happened, for task failures: the user's own stack, cut to 8 KiB. */
  readonly stack?: string | undefined;
  /** What the task threw, encoded (thrown.ts). */
  readonly thrown?: string | undefined;
  /** Machine-readable particulars, such as the path of a fault. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

const isVolleyErrorBrand: unique symbol = Symbol.for("volley.error");

/** Every failure that a user may see. Recognised by brand ({@link isVolleyError}), not by `instanceof`. */
export class VolleyError extends Error {
  override readonly name = "VolleyError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  /** The stack of the user's function, if the failure is one of a task. */
  readonly remoteStack: string | undefined;
  readonly [isVolleyErrorBrand] = true;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: Record<string, unknown>; remoteStack?: string | undefined } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details;
    this.remoteStack = options.remoteStack;
  }

  get retry(): RetryClass {
    return errorCatalogue[this.code].retry;
  }
}

export const isVolleyError = (error: unknown): error is VolleyError =>
  typeof error === "object" && error !== null && (error as Record<symbol, unknown>)[isVolleyErrorBrand] === true;

export const isErrorCode = (code: unknown): code is ErrorCode =>
  typeof code === "string" && Object.hasOwn(errorCatalogue, code);

export function toWireError(error: unknown, fallback: ErrorCode = "INTERNAL"): WireError {
  if (isVolleyError(error)) {
    return {
      code: error.code,
      message: error.message,
      ...(error.remoteStack ? { stack: error.remoteStack } : {}),
      ...(error.details ? { details: error.details } : {}),
    };
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { code: fallback, message };
}

/** About what it takes of a message. */
export const wireErrorBytes = ({ message, stack = "", thrown = "", details }: WireError): number =>
  3 * (message.length + stack.length) + thrown.length + (details ? 2_560 : 0);

export const fromWireError = (wire: WireError, cause?: unknown): VolleyError =>
  new VolleyError(isErrorCode(wire.code) ? wire.code : "INTERNAL", wire.message, {
    remoteStack: wire.stack,
    ...(cause === undefined ? {} : { cause }),
    ...(wire.details ? { details: { ...wire.details } } : {}),
  });

/** A bug of Volley's own. Stops the process; never crosses the wire as an ordinary error. */
export class InvariantViolation extends Error {
  override readonly name = "InvariantViolation";
}

export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantViolation(message);
}
