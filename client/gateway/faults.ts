/**
 * Every error of the gateway in one form, `{"error": {"code", "message", "path"?, "details"?}}`, with the status of
 * proto/errors.ts.
 */
import type { FastifyError } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { type ErrorCode, errorCatalogue, isVolleyError, VolleyError } from "../../proto/errors.js";

export interface ErrorBody {
  readonly error: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly path?: string;
    readonly details?: Readonly<Record<string, unknown>>;
  };
}

/** What Fastify itself refuses, in our words. */
const fastifyCodes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "TOO_LARGE",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "UNSUPPORTED_TYPE",
  FST_ERR_HANDLER_TIMEOUT: "TIMEOUT",
  FST_ERR_REQUEST_TIMEOUT: "TIMEOUT",
};

/**
 * Any thrown thing as an error that may be shown. What is not meant for clients becomes INTERNAL without its message or
 * stack.
 */
export function faultOf(thrown: unknown): VolleyError {
  if (isVolleyError(thrown)) return thrown;
  if (hasZodFastifySchemaValidationErrors(thrown)) {
    const first = thrown.validation[0];
    const path = [thrown.validationContext, ...(first?.instancePath ?? "").split("/").filter(Boolean)].join(".");
    return new VolleyError("INVALID_ARGUMENT", `${path}: ${first?.message ?? "invalid"}`, { details: { path } });
  }
  const error = thrown as Partial<FastifyError>;
  const code = fastifyCodes[error.code ?? ""];
  if (code) return new VolleyError(code, error.message ?? code);
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
    return new VolleyError("INVALID_ARGUMENT", error.message ?? "bad request");
  return new VolleyError("INTERNAL", "the gateway failed to answer this request; its log has the reason");
}

export function statusOf(fault: VolleyError): number {
  return errorCatalogue[fault.code].http;
}

export function bodyOf(fault: VolleyError): ErrorBody {
  const { path, ...details } = fault.details ?? {};
  const shown = fault.remoteStack === undefined ? details : { ...details, stack: fault.remoteStack };
  return {
    error: {
      code: fault.code,
      message: fault.message,
      ...(typeof path === "string" ? { path } : {}),
      ...(Object.keys(shown).length > 0 ? { details: shown } : {}),
    },
  };
}
