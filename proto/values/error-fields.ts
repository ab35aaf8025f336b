/**
 * What an Error says beyond its text: the class it was built on, its own name, cause, errors and whatever its maker has
 * set (code, status, body). One reading for errors that are values and for errors that tasks throw.
 */
import { isVolleyError, VolleyError } from "../errors.js";

/** Own, but not enumerable, on the errors of the language; an enumerable one is a field like any other. */
const hiddenNames = ["message", "cause", "errors", "error", "suppressed"] as const;

/** Names of the errors of the language, and our own, which every process of a cluster has. */
const builtinNames = new Set([
  "VolleyError",
  "Error",
  "AggregateError",
  "EvalError",
  "RangeError",
  "ReferenceError",
  "SuppressedError",
  "SyntaxError",
  "TypeError",
  "URIError",
]);

/** By which a VolleyError is known; an own property of each. */
const brand = Symbol.for("volley.error");

export interface ErrorFields {
  /** The nearest class of the language: a program's own classes exist only where they are defined. */
  readonly builtin: string;
  /** The name it shows, where that is not the one of `builtin`. */
  readonly name: string | undefined;
  /** Own properties that a listing of keys does not show, the text among them. */
  readonly hidden: readonly (readonly [string, unknown])[];
  /** Own enumerable properties. Each is read once. */
  readonly shown: readonly (readonly [string, unknown])[];
}

/**
 * Throws only what the error's own accessors throw. Stacks are not among the fields: they name the place, not the
 * fault.
 */
export function errorFields(error: Error): ErrorFields {
  const builtin = builtinOf(error);
  const shown: [string, unknown][] = [];
  for (const key of Object.keys(error))
    if (key !== "stack") shown.push([key, (error as unknown as Record<string, unknown>)[key]]);
  const isShown = (key: string): boolean => shown.some(([name]) => name === key);
  const hidden: [string, unknown][] = [];
  for (const key of hiddenNames) {
    // The text of some (DOMException) comes from their class.
    const has = Object.hasOwn(error, key) || (key === "message" && error.message !== "");
    if (has && !isShown(key)) hidden.push([key, (error as unknown as Record<string, unknown>)[key]]);
  }
  const name: unknown = isShown("name") ? builtin : error.name;
  return { builtin, name: typeof name === "string" && name !== builtin ? name : undefined, hidden, shown };
}

/**
 * An error of this process with the same fields. Its stack is one line: the one it had named places of another process.
 */
export function errorFrom({ builtin, name, hidden, shown }: ErrorFields): Error {
  const found: unknown =
    builtin === "VolleyError"
      ? VolleyError
      : builtinNames.has(builtin)
        ? (globalThis as Record<string, unknown>)[builtin]
        : undefined;
  const prototype = (typeof found === "function" ? found : Error).prototype as object;
  const error = new Error();
  Object.setPrototypeOf(error, prototype);
  Reflect.deleteProperty(error, "message");
  const define = (key: string, value: unknown, enumerable: boolean): void => {
    Object.defineProperty(error, key, { value, enumerable, writable: true, configurable: true });
  };
  for (const [key, value] of hidden) define(key, value, false);
  for (const [key, value] of shown) define(key, value, true);
  if (name !== undefined) define("name", name, false);
  if (builtin === "VolleyError") Object.defineProperty(error, brand, { value: true, enumerable: true });
  define("stack", `${String(error.name)}: ${String(error.message)}`, false);
  return error;
}

/** By the marks that only prototypes of the language have, so that an error of another realm is known, too. */
function builtinOf(error: Error): string {
  if (isVolleyError(error)) return "VolleyError";
  for (
    let proto: unknown = Object.getPrototypeOf(error);
    typeof proto === "object" && proto !== null;
    proto = Object.getPrototypeOf(proto)
  ) {
    // Values only: accessors of a prototype (DOMException's) want an instance.
    const ownValue = (key: string): unknown => Object.getOwnPropertyDescriptor(proto, key)?.value;
    const name = ownValue("name");
    const made = ownValue("constructor");
    if (
      typeof name === "string" &&
      Object.hasOwn(proto, "message") &&
      typeof made === "function" &&
      made.name === name &&
      builtinNames.has(name)
    )
      return name;
  }
  return "Error";
}
