/**
 * What a task threw, from there to whoever asks for its result: an error with its class, name, text, code, fields,
 * causes and inner errors, or any other value. Bounded in depth and bytes, for it is kept wherever a failure is; what
 * was left out is named in the field `notCarried`.
 */
import { inspect } from "node:util";
import { fromWireError, type VolleyError, type WireError } from "../errors.js";
import { type ErrorFields, errorFields, errorFrom } from "./error-fields.js";
import { decodeValue, encodeValue, valueKind } from "./value.js";

const depthMax = 8;
const errorsMax = 16;
const fieldsMax = 64;
const textMax = 1_024;
const stackMax = 2_048;
const fieldBytesMax = 2_048;
/** All of it, encoded. */
const bytesMax = 6_144;

const cut = (text: string, max: number): string => (text.length <= max ? text : `${text.slice(0, max - 1)}…`);

class Carrier {
  #left = bytesMax;
  readonly #above: unknown[] = [];

  value(value: unknown): unknown {
    if (value instanceof Error) return this.#error(value);
    const bytes = encodeValue(value).data.byteLength;
    if (bytes > Math.min(fieldBytesMax, this.#left)) throw new RangeError(`${bytes} bytes`);
    this.#left -= bytes + 16;
    return value;
  }

  #error(error: Error): Error {
    if (this.#above.includes(error)) throw new RangeError("a cycle");
    if (this.#above.length >= depthMax) throw new RangeError(`deeper than ${depthMax} causes`);
    this.#above.push(error);
    const { builtin, name, hidden, shown } = errorFields(error);
    const notCarried: string[] = [];
    const keep = (fields: ErrorFields["shown"]): [string, unknown][] =>
      fields.flatMap(([key, value]): [string, unknown][] => {
        try {
          return [[key, this.#field(key, value, notCarried)]];
        } catch (fault) {
          notCarried.push(cut(`${key}: ${fault instanceof Error ? fault.message : String(fault)}`, 200));
          return [];
        }
      });
    // The text first: it is what must arrive.
    const kept = {
      builtin,
      name: name === undefined ? undefined : cut(name, 128),
      hidden: keep(hidden),
      shown: keep(shown.slice(0, fieldsMax)),
    };
    if (shown.length > fieldsMax) notCarried.push(`${shown.length - fieldsMax} more fields`);
    // That of the outermost travels beside.
    if (this.#above.length > 1 && typeof error.stack === "string") this.#stack(kept.shown, error.stack);
    if (notCarried.length > 0) kept.shown.push(["notCarried", notCarried]);
    this.#above.pop();
    return errorFrom(kept);
  }

  #field(key: string, value: unknown, notCarried: string[]): unknown {
    if (typeof value === "string") return this.value(cut(value, textMax));
    if (key !== "errors" || !Array.isArray(value)) return this.value(value);
    if (value.length > errorsMax) notCarried.push(`${value.length - errorsMax} more errors`);
    return value.slice(0, errorsMax).map((inner: unknown, i) => {
      try {
        return this.value(inner);
      } catch (fault) {
        notCarried.push(cut(`errors[${i}]: ${fault instanceof Error ? fault.message : String(fault)}`, 200));
        return described(inner);
      }
    });
  }

  #stack(fields: [string, unknown][], stack: string): void {
    const text = cut(stack, Math.min(stackMax, this.#left - 256));
    if (text.length < 64) return;
    this.#left -= text.length + 32;
    fields.push(["remoteStack", text]);
  }
}

const described = (value: unknown): string =>
  cut(value instanceof Error ? `${value.name}: ${value.message}` : inspect(value, { depth: 2 }), 200);

/** undefined: nothing of it can be carried. */
export function carryThrown(thrown: unknown): string | undefined {
  try {
    const { kind, data } = encodeValue(new Carrier().value(thrown));
    return kind === valueKind.msgpack && data.byteLength <= 2 * bytesMax
      ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64")
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The failure as the one who asked for the result meets it: its `cause` is what the task threw. `stack`: the task's, if
 * it is told in other words.
 */
export function errorOfTask(wire: WireError, stack = wire.stack): VolleyError {
  const plain = stack === undefined ? wire : { ...wire, stack };
  if (wire.thrown === undefined) return fromWireError(plain);
  try {
    const cause = decodeValue({ kind: valueKind.msgpack, data: Uint8Array.from(Buffer.from(wire.thrown, "base64")) });
    if (cause instanceof Error && stack !== undefined)
      Object.defineProperty(cause, "stack", { value: stack, configurable: true, writable: true });
    return fromWireError(plain, cause);
  } catch {
    // Of another version: the text says what there is to say.
    return fromWireError(plain);
  }
}
