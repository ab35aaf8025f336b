/** What is installed and what is shipped: the lock file as `npm ci` takes it, the files of the published package. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const readJson = (file: string): unknown => JSON.parse(readFileSync(path.join(root, file), "utf8"));
const { engines, dependencies } = readJson("package.json") as {
  engines: { node: string };
  dependencies: Record<string, string>;
};
const { packages } = readJson("package-lock.json") as {
  packages: Record<
    string,
    { version?: string; engines?: { node?: string }; optionalDependencies?: Record<string, string> }
  >;
};

/** Whether a range of versions as packages write them (`^20.19.0 || >=22`) has the version. */
function accepts(range: string, version: string): boolean {
  const numbers = (text: string): number[] =>
    [0, 1, 2].map((at) => Number.parseInt(text.split(".")[at] ?? "0", 10) || 0);
  const [major, minor, patch] = numbers(version) as [number, number, number];
  return range.split("||").some((part) =>
    [...part.matchAll(/(>=|<=|\^|~|>|<|=)?\s*v?(\d+[\d.x*]*)/g)].every(([, sign, text]) => {
      const [otherMajor, otherMinor, otherPatch] = numbers(text as string) as [number, number, number];
      const order = major - otherMajor || minor - otherMinor || patch - otherPatch;
      if (sign === ">=") return order >= 0;
      if (sign === "<" || sign === "<=") return order < 0;
      return major === otherMajor && (sign === ">" ? order > 0 : order >= 0);
    }),
  );
}

describe("what is installed", () => {
  it("the lock file names every optional package, also of other platforms: `npm ci` refuses it otherwise", () => {
    const missing = Object.values(packages).flatMap(({ optionalDependencies }) =>
      Object.keys(optionalDependencies ?? {}).filter(
        (name) => !Object.keys(packages).some((at) => at.endsWith(`node_modules/${name}`)),
      ),
    );
    expect(missing).toEqual([]);
  });

  it("no package needs a later Node than ours: what others depend on is held back in package.json", () => {
    // As direct dependencies where that is enough (it holds for users too), else by an override (for the clone only).
    const oldest = engines.node.replace(">=", "");
    const refusing = Object.entries(packages)
      .filter(([, { engines: theirs }]) => theirs?.node !== undefined && !accepts(theirs.node, oldest))
      .map(([name, { version, engines: theirs }]) => `${name} ${version}: ${theirs?.node}`);
    expect(refusing).toEqual([]);
    expect([">=22", "^18 || >= 22.x", "^20.20.0"].filter((range) => accepts(range, oldest))).toEqual([]);
  });

  it("what only tests, examples and the build read is no dependency of users", () => {
    expect(Object.keys(dependencies)).not.toContain("vega-datasets");
  });
});

describe("what is shipped", () => {
  const listing = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const files = (JSON.parse(listing) as { files: { path: string }[] }[]).flatMap((one) =>
    one.files.map((file) => file.path),
  );

  it("has the entry files, the threads, the kernels' WASM form and the demo's prices", () => {
    expect(files).toEqual(
      expect.arrayContaining([
        "README.md",
        "dist/client/cli/volley.js",
        "dist/client/index.d.ts",
        "dist/worker/pool/thread.js",
        "dist/kernels/wasm/features.wasm",
        "dist/client/cli/demo/sp500-2000.csv",
      ]),
    );
  });

  it("has no test, and nothing that only tests, the simulation or measurements use", () => {
    const unwanted = /\.test\.|\/testing\/|^dist\/(?:bench|e2e|examples|sim)\/|\.tsbuildinfo|\.map$/;
    expect(files.filter((file) => unwanted.test(file))).toEqual([]);
  });
});
