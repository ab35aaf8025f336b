/**
 * Configuration of a process: one table that parses every key and documents it. A key comes from its flag, else from
 * the environment, else from the default.
 */
import { VolleyError } from "../../proto/errors.js";

export interface ConfigKey<T> {
  /** Environment variable, e.g. VOLLEY_SLOTS. */
  readonly env: string;
  /** Flag on the command line without the dashes, e.g. `slots`. */
  readonly flag: string;
  readonly doc: string;
  /** undefined: the key is required. */
  readonly default: T | undefined;
  /** What the documentation says of a default that depends on the machine. */
  readonly defaultDoc?: string;
  /** Throws an Error that says what was expected. */
  readonly parse: (text: string) => T;
}

/** Keeps the type of an entry's value. */
export const configKey = <T>(entry: ConfigKey<T>): ConfigKey<T> => entry;

export type ConfigTable = Readonly<Record<string, ConfigKey<unknown>>>;
export type ConfigOf<C extends ConfigTable> = { readonly [K in keyof C]: C[K] extends ConfigKey<infer T> ? T : never };

export const text = (value: string): string => value;
export const optionalText = (value: string): string | null => (value === "" ? null : value);
export const flagValue = (value: string): boolean => {
  if (/^(1|true|yes)$/i.test(value)) return true;
  if (/^(0|false|no|)$/i.test(value)) return false;
  throw new Error("expected true or false");
};
export const integer =
  (min: number, max: number) =>
  (value: string): number => {
    const n = Number(value);
    if (value.trim() === "" || !Number.isInteger(n) || n < min || n > max)
      throw new Error(`expected a whole number from ${min} to ${max}`);
    return n;
  };

/** Reads a configuration. Every fault is INVALID_ARGUMENT that names key, value and what was expected. */
export function readConfig<C extends ConfigTable>(
  table: C,
  flags: Readonly<Record<string, string | undefined>>,
  env: Readonly<Record<string, string | undefined>>,
): ConfigOf<C> {
  const config: Record<string, unknown> = {};
  for (const [key, entry] of Object.entries(table)) {
    const given = flags[entry.flag] ?? env[entry.env];
    if (given === undefined) {
      if (entry.default === undefined)
        throw new VolleyError("INVALID_ARGUMENT", `${entry.env} (--${entry.flag}) is required: ${entry.doc}`);
      config[key] = entry.default;
      continue;
    }
    try {
      config[key] = entry.parse(given);
    } catch (cause) {
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `${entry.env} (--${entry.flag}) is ${JSON.stringify(given)}: ${(cause as Error).message}`,
        { cause },
      );
    }
  }
  return config as ConfigOf<C>;
}
