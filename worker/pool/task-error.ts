/** In the thread: whatever a user's function throws, as an error that can cross the wire. Never throws itself, however hostile the value. */
import { inspect } from "node:util";
import { isVolleyError, type WireError } from "../../proto/errors.js";

const messageMax = 2_048;
const stackMax = 8_192;

const cut = (text: string, max: number): string => (text.length <= max ? text : `${text.slice(0, max - 1)}…`);

export function describeFailure(thrown: unknown): WireError {
  try {
    if (isVolleyError(thrown) && thrown.code === "TASK_UNSERIALIZABLE") return { code: "TASK_UNSERIALIZABLE", message: cut(thrown.message, messageMax) };
    if (thrown instanceof Error || (typeof thrown === "object" && thrown !== null && typeof (thrown as Error).message === "string")) {
      const { name, message, stack, cause } = thrown as Error;
      const why = cause instanceof Error ? ` (caused by ${cause.name}: ${cause.message})` : "";
      return {
        code: "TASK_FAILED",
        message: cut(`${String(name)}: ${String(message)}${why}`, messageMax),
        ...(typeof stack === "string" ? { stack: cut(stack, stackMax) } : {}),
        details: { name: cut(String(name), 128) },
      };
    }
    return {
      code: "TASK_FAILED",
      message: cut(`the function threw ${inspect(thrown, { depth: 2, breakLength: Number.POSITIVE_INFINITY })}, which is not an Error`, messageMax),
    };
  } catch {
    return { code: "TASK_FAILED", message: "the function threw something that cannot be described" };
  }
}

/**
 * A kernel is our own: its refusal of a parameter, column or value keeps its code and particulars. Codes that may be tried again stay with the
 * infrastructure, so from a kernel they are a failure like any other.
 */
export function describeKernelFailure(thrown: unknown): WireError {
  if (!isVolleyError(thrown) || thrown.retry !== "never") return describeFailure(thrown);
  return { code: thrown.code, message: cut(thrown.message, messageMax), ...(thrown.details ? { details: thrown.details } : {}) };
}

export function describeUnserializable(thrown: unknown): WireError {
  const failure = describeFailure(thrown);
  if (failure.code === "TASK_UNSERIALIZABLE") return failure;
  return { code: "TASK_UNSERIALIZABLE", message: `the result could not be encoded: ${failure.message}` };
}
