import { describe, expect, it } from "vitest";
import { type ConfigKey, flagValue, integer, optionalText, readConfig, text } from "./config.js";

const url: ConfigKey<string> = { env: "T_URL", flag: "url", doc: "where", default: undefined, parse: text };
const slots: ConfigKey<number> = { env: "T_SLOTS", flag: "slots", doc: "how many", default: 2, parse: integer(1, 64) };
const verbose: ConfigKey<boolean> = {
  env: "T_VERBOSE",
  flag: "verbose",
  doc: "say more",
  default: false,
  parse: flagValue,
};
const folder: ConfigKey<string | null> = {
  env: "T_FOLDER",
  flag: "folder",
  doc: "spill there",
  default: null,
  parse: optionalText,
};
const table = { url, slots, verbose, folder };
const invalid = (words: RegExp): unknown =>
  expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringMatching(words) });

describe("configuration", () => {
  it("comes from the flag, else the environment, else the default", () => {
    expect(
      readConfig(table, { url: "flag", slots: "3" }, { T_URL: "env", T_VERBOSE: "yes", T_FOLDER: "/tmp" }),
    ).toEqual({
      url: "flag",
      slots: 3,
      verbose: true,
      folder: "/tmp",
    });
    expect(readConfig(table, {}, { T_URL: "env" })).toEqual({ url: "env", slots: 2, verbose: false, folder: null });
  });

  it("says which key is missing, and what it is for", () => {
    expect(() => readConfig(table, {}, {})).toThrow(invalid(/T_URL \(--url\) is required: where/) as Error);
  });

  it.each(["", " ", "1.5", "0", "65", "many", "1e9", "NaN"])(
    "refuses %j for a whole number from 1 to 64, with its name and value",
    (given) => {
      expect(() => readConfig(table, { url: "x", slots: given }, {})).toThrow(
        invalid(/T_SLOTS \(--slots\) is ".*": expected a whole number from 1 to 64/) as Error,
      );
    },
  );

  it("knows what true and false look like", () => {
    expect(["1", "true", "YES"].map(flagValue)).toEqual([true, true, true]);
    expect(["0", "false", "No", ""].map(flagValue)).toEqual([false, false, false, false]);
    expect(() => readConfig(table, { url: "x", verbose: "maybe" }, {})).toThrow(
      invalid(/expected true or false/) as Error,
    );
  });
});
