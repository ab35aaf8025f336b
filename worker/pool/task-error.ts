/**
 * In the thread: whatever a user's function throws, as an error that can cross the wire. Never throws itself, however
 * hostile the value.
 */
import { inspect } from "node:util";
import { isVolleyError, type WireError } from "../../proto/errors.js";
import { carryThrown } from "../../proto/values/thrown.js";

const messageMax = 2_048;
const stackMax = 8_192;
const textMax = 512;
/** Causes and inner errors that the message names. */
const wordsMax = 8;
const fieldsMax = 64;
const fieldBytesMax = 2_048;

const cut = (text: string, max: number): string => (text.length <= max ? text : `${text.slice(0, max - 1)}…`);

const text = (value: unknown): string => inspect(value, { depth: 2, breakLength: Number.POSITIVE_INFINITY });

function carried(value: unknown): { thrown?: string } {
  const thrown = carryThrown(value);
  return thrown === undefined ? {} : { thrown };
}

/** The causes, down to the last, and what an AggregateError holds: in words, since a person reads the message first. */
function reasons(error: Error, depth = 0): string {
  const { cause, errors } = error as { cause?: unknown; errors?: unknown };
  const parts: string[] = [];
  if (Array.isArray(errors))
    parts.push(
      errors.slice(0, wordsMax).map(named).join("; ") +
        (errors.length > wordsMax ? `; and ${errors.length - wordsMax} more` : ""),
    );
  if (cause !== undefined)
    parts.push(
      `caused by ${named(cause)}${cause instanceof Error && depth < wordsMax ? reasons(cause, depth + 1) : ""}`,
    );
  return parts.length === 0 ? "" : ` (${parts.join("; ")})`;
}

const named = (value: unknown): string =>
  cut(value instanceof Error ? `${value.name}: ${value.message}` : text(value), textMax);

/** What programs branch on, where only JSON arrives: `code`, and the fields that JSON can say. */
function particulars(error: Error): { code?: string | number; fields?: Record<string, unknown> } {
  const { code } = error as { code?: unknown };
  const fields: Record<string, unknown> = {};
  let bytes = 0;
  for (const key of Object.keys(error).slice(0, fieldsMax)) {
    const value = (error as unknown as Record<string, unknown>)[key];
    if (key === "name" || key === "stack" || key === "code" || value instanceof Error) continue;
    let json: string | undefined;
    try {
      json = JSON.stringify(value);
    } catch {
      continue;
    }
    if (json === undefined || bytes + key.length + json.length > fieldBytesMax) continue;
    bytes += key.length + json.length;
    fields[key] = JSON.parse(json);
  }
  return {
    ...(typeof code === "string" || typeof code === "number"
      ? { code: typeof code === "string" ? cut(code, 128) : code }
      : {}),
    ...(Object.keys(fields).length > 0 ? { fields } : {}),
  };
}

export function describeFailure(thrown: unknown): WireError {
  try {
    if (isVolleyError(thrown) && thrown.code === "TASK_UNSERIALIZABLE")
      return { code: "TASK_UNSERIALIZABLE", message: cut(thrown.message, messageMax) };
    if (
      thrown instanceof Error ||
      (typeof thrown === "object" && thrown !== null && typeof (thrown as Error).message === "string")
    ) {
      const { name, message, stack } = thrown as Error;
      return {
        code: "TASK_FAILED",
        message: cut(`${String(name)}: ${String(message)}${reasons(thrown as Error)}`, messageMax),
        ...(typeof stack === "string" ? { stack: cut(stack, stackMax) } : {}),
        ...carried(thrown),
        details: { name: cut(String(name), 128), ...particulars(thrown as Error) },
      };
    }
    return {
      code: "TASK_FAILED",
      message: cut(`the function threw ${text(thrown)}, which is not an Error`, messageMax),
      ...carried(thrown),
    };
  } catch {
    return { code: "TASK_FAILED", message: "the function threw something that cannot be described" };
  }
}

/**
 * A kernel is our own: its refusal of a parameter, column or value keeps its code and particulars. Codes that may be
 * tried again stay with the infrastructure, so from a kernel they are a failure like any other.
 */
export function describeKernelFailure(thrown: unknown): WireError {
  if (!isVolleyError(thrown) || thrown.retry !== "never") return describeFailure(thrown);
  return {
    code: thrown.code,
    message: cut(thrown.message, messageMax),
    ...(thrown.details ? { details: thrown.details } : {}),
  };
}

export function describeUnserializable(thrown: unknown): WireError {
  const failure = describeFailure(thrown);
  if (failure.code === "TASK_UNSERIALIZABLE") return failure;
  return { code: "TASK_UNSERIALIZABLE", message: `the result could not be encoded: ${failure.message}` };
}
