/** Where the walk over a value is, and the refusal that names it. */
import { VolleyError } from "../errors.js";

/**
 * Indexes, property names, keys of maps, and words for what is inside other collections. Made into text only for an
 * error.
 */
export type Step = number | string | { readonly key: unknown } | { readonly word: string };

const property = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`);

/** Objects that are keys have no short text. */
const keyText = (key: unknown): string =>
  typeof key === "string"
    ? JSON.stringify(key)
    : (typeof key === "object" && key !== null) || typeof key === "function"
      ? "…"
      : String(key);

export function pathText(trail: readonly Step[]): string {
  let path = "value";
  for (const step of trail) {
    if (typeof step === "number") path += `[${step}]`;
    else if (typeof step === "string") path += property(step);
    else path += "word" in step ? step.word : `.get(${keyText(step.key)})`;
  }
  return path;
}

/** `what` as in "is an instance of Portfolio". */
export function unserializable(trail: readonly Step[], what: string, cause?: unknown): VolleyError {
  const path = pathText(trail);
  return new VolleyError(
    "TASK_UNSERIALIZABLE",
    `${path} is ${what}, which cannot be sent; return plain data, typed arrays or an Arrow table`,
    {
      details: { path },
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
