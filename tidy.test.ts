/**
 * The habits of this code base as tests: import directions as the table in docs/ARCHITECTURE.md says, no cycles, small
 * files and functions, honest names. The lists of exceptions are ratchets: they may only shrink, and an entry that is
 * no longer needed fails the test.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { cycles, mayImport, table, zoneOf } from "./testing/import-table.js";
import {
  all,
  imports,
  importsOf,
  isPure,
  isTest,
  read,
  root,
  sources,
  stripComments,
  texts,
} from "./testing/source-tree.js";
import { unboundedDelays } from "./testing/timer-delays.js";

// ------------------------------------------------------------------------------------------------ ratchets

const fileLinesMax = 400;
const lineWidth = 120;
/**
 * The wall clock is stepped by people, NTP and suspended machines; whoever waits or measures by it waits too long or
 * not at all. `performance.now()` is for that. These files read it, and none of them compares it with anything but
 * itself.
 */
const wallClockReaders: Record<string, string> = {
  "proto/runtime.ts": "the time that jobs are stamped with; read once a process",
  "client/cli/up.ts": "when a cluster was started, for a person to read",
  "client/cli/job-text.ts": "how long a job has run, for a person to read",
  "e2e/stepped-clock.ts": "the clock that tests step",
};
/**
 * Node's timers fire at once beyond 2^31 - 1 ms. proto/timer.ts waits as long as it is told; who uses Node's own says
 * the delay as a figure, as a constant of the file, or with an upper bound. These do otherwise, each with its reason.
 */
const timerExceptions: Record<string, string> = {
  "proto/timer.ts": "it is the one",
  "kernels/basics.ts": "the kernel's schema has the bound",
  "client/sdk/testing/fixture-tasks.ts": "user code of tests",
  "worker/shell/testing/agent-rig.ts": "user code of tests",
  "testing/timer-delays.ts": "it names them",
};
/** Times in tests that are not `patienceMs`: what expires in the test, and tests that take longer than any other. */
const ownTimes = [
  "e2e/demo.test.ts: timeout: 900_000",
  "e2e/gateway-hostile.test.ts: timeout: 900_000",
  "e2e/stream.test.ts: timeout: 3_600_000",
  "proto/testing/patience.ts: vi.waitFor(",
  "worker/pool/time-limits.test.ts: timeoutMs: 4_000",
];
/** Imports against the table, each with its reason. */
const importExceptions: Record<string, string> = {};

describe("imports", () => {
  const ours = imports.filter((edge) => edge.ours);

  it("every folder of code stands in the table of docs/ARCHITECTURE.md", () => {
    expect(table.size).toBeGreaterThan(10);
    expect([
      ...new Set(
        sources
          .filter((file) => file.includes("/") && zoneOf(file) === undefined)
          .map((file) => path.posix.dirname(file)),
      ),
    ]).toEqual([]);
  });

  it("go to files that exist", () => {
    expect(
      ours
        .filter((edge) => !texts.has(edge.to) && !existsSync(path.join(root, edge.to)))
        .map((edge) => `${edge.from} -> ${edge.to}`),
    ).toEqual([]);
  });

  it("go the way the table in docs/ARCHITECTURE.md says", () => {
    const wrong = ours
      .filter((edge) => edge.from.includes("/") && !mayImport(edge))
      .map((edge) => `${edge.from} -> ${edge.to}`);
    expect([...new Set(wrong)].filter((edge) => importExceptions[edge] === undefined)).toEqual([]);
    expect(Object.keys(importExceptions).filter((edge) => !wrong.includes(edge))).toEqual([]);
  });

  it("have no cycles", () => {
    expect(cycles(ours.filter((edge) => !edge.dynamic))).toEqual([]);
  });

  it("what only tests use stands in a folder named testing, which does not ship; what ships uses nothing of it", () => {
    const shipped = (file: string): boolean =>
      !isTest(file) && !/(?:^|\/)testing\//.test(file) && !/^(?:sim|bench|e2e|examples)\//.test(file);
    const users = new Map<string, string[]>();
    for (const { from, to } of ours) users.set(to, [...(users.get(to) ?? []), from]);
    const onlyTested = [...users]
      .filter(([file, by]) => shipped(file) && !by.some(shipped))
      .filter(([file]) => !file.endsWith("/index.ts")) // A face of the package.
      .map(([file, by]) => `${file}, by ${by[0]}`);
    expect(onlyTested).toEqual([]);
    const wrong = ours.filter((edge) => shipped(edge.from) && edge.to.includes("/testing/"));
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  it("the pure cores load nothing but files of ours that load nothing else", () => {
    const loaded = new Map<string, string>();
    const todo = sources.filter(isPure).map((file) => [file, file] as const);
    const impure: string[] = [];
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      const [file, by] = at;
      if (loaded.has(file)) continue;
      loaded.set(file, by);
      for (const edge of importsOf(file)) {
        if (edge.typeOnly) continue;
        if (edge.ours) todo.push([edge.to, file]);
        else impure.push(`${file} (loaded by ${by}) -> ${edge.to}`);
      }
    }
    expect(loaded.size).toBeGreaterThan(0);
    expect(impure).toEqual([]);
  });

  it("the pure cores neither read a clock nor draw a random number", () => {
    const pure = sources.filter(isPure);
    const banned =
      /\b(?:Math\.random|Date\.now|new Date|performance\.now|setTimeout|setInterval|queueMicrotask|process\.|Promise)\b/;
    expect(pure.filter((file) => banned.test(stripComments(texts.get(file) ?? "")))).toEqual([]);
  });
});

// ------------------------------------------------------------------------------------------------ size

/** Whether a line stands inside a template: an odd number of back quotes comes before it. */
const isInText = (file: string, line: string): boolean => {
  const all = texts.get(file) ?? "";
  return (all.slice(0, all.indexOf(line)).split("`").length - 1) % 2 === 1;
};

describe("size", () => {
  it(`files have at most ${fileLinesMax} lines`, () => {
    const lines = (file: string): number => (texts.get(file) ?? "").split("\n").length - 1;
    const over = sources.filter((file) => lines(file) > fileLinesMax).map((file) => `${file}: ${lines(file)} lines`);
    expect(over).toEqual([]);
  });

  it(`lines have at most ${lineWidth} columns; a text that is not broken may have more`, () => {
    const text = /["'`]|^\s*\/[^/*]/;
    const wide = sources.flatMap((file) =>
      (texts.get(file) ?? "")
        .split("\n")
        .filter((line) => line.length > lineWidth)
        .filter((line) => /^\s*(?:\/\/|\*|\/\*)/.test(line) || (!text.test(line) && !isInText(file, line)))
        .filter((line) => !/biome-ignore|https?:/.test(line))
        .map((line) => `${file}: ${line.slice(0, 80)}`),
    );
    expect(wide).toEqual([]);
  });

  it("functions have at most 70 lines, tests apart", () => {
    const biome = path.join(root, "node_modules/@biomejs/biome/bin/biome");
    const args = [
      "lint",
      "--only=complexity/noExcessiveLinesPerFunction",
      "--reporter=json",
      "--max-diagnostics=none",
      ".",
    ];
    let output: string;
    try {
      output = execFileSync(process.execPath, [biome, ...args], {
        cwd: root,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      });
    } catch (error) {
      output = (error as { stdout: string }).stdout;
    }
    const report = JSON.parse(output.slice(output.indexOf("{"))) as {
      summary: { unchanged: number };
      diagnostics: { category: string; location: { path: string; start: { line: number } } }[];
    };
    // AssemblyScript is not TypeScript to biome.
    expect(report.summary.unchanged).toBeGreaterThanOrEqual(
      sources.filter((file) => !file.includes("/assembly/")).length,
    );
    const found = new Map<string, number[]>();
    for (const { category, location } of report.diagnostics) {
      if (!category.endsWith("noExcessiveLinesPerFunction") || isTest(location.path)) continue;
      found.set(location.path, [...(found.get(location.path) ?? []), location.start.line]);
    }
    expect([...found].map(([file, lines]) => `${file}: functions at lines ${lines.join(", ")}`)).toEqual([]);
  });
});

describe("habits", () => {
  it("file and folder names are kebab-case and say what is inside", () => {
    expect(
      all.filter((file) => file.endsWith(".ts") && !/^[a-z0-9-]+(?:\/[a-z0-9-]+)*(?:\.test|\.d)?\.ts$/.test(file)),
    ).toEqual([]);
    expect(all.filter((file) => /(?:^|\/)(?:utils?|helpers?|common|types|misc|shared)(?:\/|\.ts$)/.test(file))).toEqual(
      [],
    );
  });

  it("a test stands beside the file it tests", () => {
    const alone = sources.filter(
      (file) =>
        isTest(file) &&
        file.includes("/") &&
        !file.startsWith("e2e/") &&
        !sources.some((other) => !isTest(other) && path.posix.dirname(other) === path.posix.dirname(file)),
    );
    expect(alone).toEqual([]);
  });

  it("no `export *`, no default exports", () => {
    expect(sources.filter((file) => /^export (?:\*|default\b)/m.test(texts.get(file) ?? ""))).toEqual([]);
  });

  it("no test is singled out, and none is skipped without saying why", () => {
    const marks = /\b(?:it|test|describe)(?:\.\w+)*\.(only|skip|todo|fails)\b/g;
    const bare: string[] = [];
    for (const file of sources.filter(isTest)) {
      for (const match of (texts.get(file) ?? "").matchAll(marks)) {
        const before = (texts.get(file) ?? "").slice(0, match.index).split("\n").at(-2) ?? "";
        if (match[1] === "only" || !/\/\/ skipped: \S/.test(before)) bare.push(`${file}: ${match[0]}`);
      }
    }
    expect(bare).toEqual([]);
  });

  it("tests wait by the patience of proto/testing, which a busy machine does not outlast", () => {
    const virtual = /^(?:kernels|scheduler\/core|session|worker\/core|sim)\/|^tidy|^testing/;
    const literal = /\bvi\.wait(?:For|Until)\(|\btimeout(?:Ms)?: \d(?:_?\d){3,}|now\(\) - \w+\)\.toBeLessThan\(\d/g;
    const found = sources
      .filter((file) => (isTest(file) || /(?:^e2e|\/testing)\//.test(file)) && !virtual.test(file))
      .flatMap((file) => [...(texts.get(file) ?? "").matchAll(literal)].map(([text]) => `${file}: ${text}`));
    expect([...new Set(found)].sort()).toEqual(ownTimes);
  });

  it("tests draw their cases through proto/testing/drawn, which has one seed", () => {
    expect(sources.filter((file) => isTest(file) && /^import .*"fast-check"/m.test(texts.get(file) ?? ""))).toEqual([]);
  });

  it("the wall clock is read by few, and waited by nobody", () => {
    const reads = /\bDate\.now\b|\bnew Date\(\)|\btimeOrigin\b|(?<!new )\bDate\(\)/;
    const product = sources.filter((file) => !/^(?:bench|examples)\//.test(file) && !isTest(file));
    const readers = product.filter((file) => reads.test(stripComments(texts.get(file) ?? "")));
    expect(readers.filter((file) => wallClockReaders[file] === undefined)).toEqual([]);
    expect(
      Object.keys(wallClockReaders).filter((file) => !readers.includes(file)),
      "no longer needed: take it off the list",
    ).toEqual([]);
  });

  it("no timer waits for a time that could be beyond what Node's timers take", () => {
    const product = sources.filter((file) => !/^(?:bench|e2e|examples)\//.test(file) && !isTest(file));
    const found = product.flatMap((file) =>
      unboundedDelays(texts.get(file) ?? "").map((delay) => `${file}: a delay of ${delay}; use proto/timer.ts`),
    );
    expect(found.filter((line) => timerExceptions[line.split(":")[0] as string] === undefined)).toEqual([]);
    expect(Object.keys(timerExceptions).filter((file) => !found.some((line) => line.startsWith(`${file}:`)))).toEqual(
      [],
    );
  });

  it("no file of the repository names a machine, a workplace or a package registry", () => {
    const slashed = (...parts: string[]): string => parts.join("/");
    const banned = [
      slashed("", "work", ""),
      slashed("", "tmp", "brief"),
      slashed("shared", "DESIGN"),
      slashed("", "root", ""),
      slashed("", "home", ""),
      `registry.${"npmjs"}.org`,
      `"resol${"ved"}"`,
    ];
    const tracked = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" })
      .split("\n")
      .filter((file) => file !== "" && existsSync(path.join(root, file)));
    const found = tracked.flatMap((file) => {
      const text = read(file);
      return banned.filter((name) => text.includes(name)).map((name) => `${file}: ${name}`);
    });
    expect(found).toEqual([]);
  });
});
