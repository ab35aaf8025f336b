/**
 * One word per concept, and the field's words for it. Words that this code base once had for itself do not come back:
 * each stands here with what to say instead.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");

interface Word {
  readonly instead: string;
  /** Where it has another meaning, which is its ordinary one. */
  readonly ordinary?: RegExp;
}

/** As a word of a name: of an identifier or of a file. */
const inNames: Readonly<Record<string, Word>> = {
  trouble: { instead: "failureRecord, fault" },
  troubles: { instead: "failureRecords, faults" },
  blame: { instead: "strike" },
  blames: { instead: "strikes" },
  beat: { instead: "heartbeat" },
  beats: { instead: "heartbeats" },
  hello: { instead: "register" },
  hellos: { instead: "registrations" },
  bye: { instead: "deregister" },
  goodbye: { instead: "deregister" },
  usurp: { instead: "takeOver" },
  usurpation: { instead: "takeover" },
  usurpations: { instead: "takeovers" },
  plant: { instead: "mutation", ordinary: /^(?:data\/synth|examples)\// },
  plants: { instead: "mutations" },
  figures: { instead: "stats, values" },
  spell: { instead: "interval" },
  spells: { instead: "intervals" },
  tell: { instead: "emit, send" },
  tells: { instead: "emits, sends" },
  telling: { instead: "sending, restoring" },
  hear: { instead: "receive" },
  hears: { instead: "receives" },
  hearing: { instead: "listeningTime" },
  say: { instead: "send" },
  wonder: { instead: "query" },
};

/** As a name's beginning. */
const beginnings: readonly (readonly [RegExp, string])[] = [
  [/^#?note[A-Z]/, "mark…, add…"],
  [/^Kept[A-Z]/, "…Cache"],
  [/^WorkerOrder/, "SchedulerCommand"],
];

/** In comments and pages: only what had a meaning of its own. */
const inProse: readonly (readonly [RegExp, string])[] = [
  [/\b(?:says?|said|saying) (?:hello|goodbye)\b/, "registers, deregisters"],
  [/\bgoodbyes?\b|\bhellos\b/, "deregistration, registrations"],
  [/\bplanted bugs?\b/i, "mutation"],
  [/\busurp/i, "takeover"],
  [/\b(?:client|worker|session)(?:'s|s')? beats?\b|\bbeats? of (?:a|the) (?:client|worker|session)\b/i, "heartbeat"],
];

const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => /\.(?:ts|md)$/.test(file) && file !== "words.test.ts" && existsSync(path.join(root, file)));
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
const wordsOf = (name: string): string[] =>
  name
    .split(/(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+/)
    .filter((word) => word !== "")
    .map((word) => word.toLowerCase());

/** Identifiers; what stands in comments and texts is left out. */
const tokens =
  /\/\*[\s\S]*?\*\/|\/\/.*|(?<=[(,=:[!&|?{;]\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+\/[a-z]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|#?[A-Za-z_$][\w$]*/g;
const namesIn = (text: string): Set<string> =>
  new Set([...text.matchAll(tokens)].map(([token]) => token).filter((token) => /^[#\w$]/.test(token)));
const commentsIn = (text: string): string =>
  [...text.matchAll(tokens)]
    .map(([token]) => token)
    .filter((token) => token.startsWith("/"))
    .join("\n");

function wrongIn(name: string, file: string): string | undefined {
  for (const word of wordsOf(name)) {
    const known = Object.hasOwn(inNames, word) ? inNames[word] : undefined;
    if (known && !known.ordinary?.test(file)) return `${file}: ${name}; say ${known.instead}`;
  }
  const start = beginnings.find(([pattern]) => pattern.test(name));
  return start && `${file}: ${name}; say ${start[1]}`;
}

describe("words", () => {
  it("of identifiers and files are the field's", () => {
    const wrong = files
      .filter((file) => file.endsWith(".ts"))
      .flatMap((file) =>
        [...namesIn(read(file)), path.posix.basename(file)].flatMap((name) => wrongIn(name, file) ?? []),
      );
    expect(wrong).toEqual([]);
  });

  it("of comments and pages are, where a private one had a meaning of its own", () => {
    const wrong = files.flatMap((file) => {
      const text = file.endsWith(".md") ? read(file) : commentsIn(read(file));
      return inProse.flatMap(([pattern, instead]) => {
        const found = pattern.exec(text)?.[0];
        return found === undefined ? [] : [`${file}: ${found}; say ${instead}`];
      });
    });
    expect(wrong).toEqual([]);
  });

  it("are looked at in identifiers only, each by itself", () => {
    expect([...namesIn('const beatAt = "hello"; // bye\nthis.#tell(`say`);')]).toEqual([
      "const",
      "beatAt",
      "this",
      "#tell",
    ]);
    expect(wrongIn("beatAtMs", "x.ts")).toContain("say heartbeat");
    expect(wrongIn("heartbeatAtMs", "x.ts")).toBeUndefined();
    expect(wrongIn("noteHeld", "x.ts")).toContain("mark");
    expect(wrongIn("notes", "x.ts")).toBeUndefined();
  });
});
