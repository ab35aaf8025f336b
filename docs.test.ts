/**
 * Reference pages are written from the tables that drive the code, so the two cannot differ. `npm run docs` writes the
 * pages anew.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { ConfigTable } from "./cluster/process/config.js";
import { errorCatalogue } from "./proto/errors.js";
import { limits } from "./proto/limits.js";
import { type Machine, machines } from "./scheduler/core/transitions.js";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const page = (name: string): string => path.join(root, "docs", name);

/** The files that hold a role's configuration, and the name of the table in them. */
const roles = [
  { role: "scheduler", file: "cluster/roles/scheduler.js", table: "schedulerConfig" },
  { role: "worker", file: "cluster/roles/worker.js", table: "workerConfig" },
  { role: "gateway", file: "cluster/roles/gateway.js", table: "gatewayConfig" },
];

/** What is read before there is a role to configure: cluster/local/resolve-nats.ts. */
const natsServer = [
  "## nats-server of a local cluster",
  "",
  "| environment | meaning |",
  "|---|---|",
  "| `VOLLEY_URL` | A cluster that is running: nats://user:password@host:port. No server is started. |",
  "| `VOLLEY_NATS_SERVER` | Path of the nats-server binary to use. |",
  "| `VOLLEY_NATS_RELEASES` | A mirror of the nats-server releases, in the same layout. |",
  "| `VOLLEY_DEBIAN_MIRROR` | A mirror of Debian, where its package is fetched if nothing else is there. Default: http://deb.debian.org/debian. |",
  "",
];

/** Of every task, in the SDK, in graphs and over HTTP. */
const taskOptions = [
  "## options of tasks",
  "",
  "Not of a process: `with({ … })` in the SDK, `options` of a stage in a graph.",
  "",
  "| option | default | meaning |",
  "|---|---|---|",
  `| \`timeoutMs\` | \`${limits.taskTimeoutMsDefault}\` (an hour) | How long one attempt of one task may execute; then it fails with \`TASK_TIMEOUT\`. At most ${limits.taskTimeoutMsMax} (366 days). |`,
  "| `retries` | `0` | Tries after the function itself has failed. What the cluster is to blame for is tried again in any case. |",
  "| `pure` | `false`; kernels `true` | Same inputs, same result: reuse between jobs, and lost results are made again. |",
  "| `priority` | `0` | Order inside a tenant, -100 to 100; higher first. |",
  "| `seed` | none | What `taskContext().seed` of each task is drawn from. |",
  "",
];

function diagramOf({ begins, steps, ends }: Machine<string>): string {
  const lines = Object.entries(begins).map(([to, why]) => `[*] --> ${to}: ${why}`);
  for (const [from, row] of Object.entries(steps))
    for (const [to, why] of Object.entries(row)) lines.push(`${from} --> ${to}: ${why}`);
  for (const [from, why] of Object.entries(ends)) lines.push(`${from} --> [*]: ${why}`);
  return `stateDiagram-v2\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function defaultOf(key: ConfigTable[string]): string {
  if (key.default === undefined) return "required";
  if (key.defaultDoc !== undefined) return key.defaultDoc;
  return key.default === "" || key.default === null ? "empty" : `\`${JSON.stringify(key.default)}\``;
}

describe("reference pages", () => {
  it("docs/errors.md is the error catalogue", async () => {
    const rows = Object.entries(errorCatalogue).map(
      ([code, entry]) => `| \`${code}\` | ${entry.http} | ${entry.retry} | ${cell(entry.doc)} |`,
    );
    const retry = [
      "- `never`: the same request fails again.",
      "- `retry`: try again, anywhere.",
      "- `retry-elsewhere`: another worker may succeed.",
      "- `unknown-outcome`: it may or may not have happened; ask before you repeat.",
    ];
    const lines = [
      "# Errors",
      "",
      "Every failure that a user may see carries one of these codes, over NATS, HTTP and in the SDK alike.",
      "",
      "What a caller may do:",
      "",
      ...retry,
      "",
    ];
    await expect(
      [...lines, "| code | HTTP | retry | meaning |", "|---|---|---|---|", ...rows, ""].join("\n"),
    ).toMatchFileSnapshot(page("errors.md"));
  });

  it("docs/configuration.md is the configuration of every role", async () => {
    const lines = [
      "# Configuration",
      "",
      "A key comes from its flag, else from the environment, else from the default. A key without a default is required.",
      "",
    ];
    for (const { role, file, table } of roles) {
      const module = (await import(new URL(file, import.meta.url).href)) as Record<string, ConfigTable>;
      const keys = Object.values(module[table] ?? {});
      expect(keys.length, `${table} in ${file}`).toBeGreaterThan(0);
      lines.push(`## ${role}`, "", "| environment | flag | default | meaning |", "|---|---|---|---|");
      for (const key of keys)
        lines.push(`| \`${key.env}\` | \`--${key.flag}\` | ${defaultOf(key)} | ${cell(key.doc)} |`);
      lines.push("");
    }
    lines.push(...natsServer, ...taskOptions);
    await expect(lines.join("\n")).toMatchFileSnapshot(page("configuration.md"));
  });

  it("docs/state.md draws the tables of transitions that the scheduler's records obey", async () => {
    const drawn: string[] = [];
    const text = Object.entries(machines).reduce(
      (page, [name, machine]) => {
        const mark = new RegExp(`<!-- ${name} -->\\n(?:\`\`\`mermaid\\n[^\`]*\`\`\`\\n)?`);
        if (mark.test(page)) drawn.push(name);
        return page.replace(mark, `<!-- ${name} -->\n\`\`\`mermaid\n${diagramOf(machine)}\`\`\`\n`);
      },
      readFileSync(page("state.md"), "utf8"),
    );
    expect(drawn).toEqual(Object.keys(machines));
    await expect(text).toMatchFileSnapshot(page("state.md"));
  });

  it("every environment variable in the code is documented", () => {
    const documented = [path.join(root, "README.md"), ...readdirSync(page("")).map(page)]
      .filter((file) => existsSync(file))
      .map((file) => readFileSync(file, "utf8"))
      .join("\n");
    const files = [
      "proto",
      "session",
      "scheduler",
      "worker",
      "threads",
      "kernels",
      "data",
      "client",
      "cluster",
    ].flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((file) => /(?<!\.test)\.ts$/.test(file) && !/(?:^|\/)testing\//.test(file))
        .map((file) => path.join(root, folder, file)),
    );
    // Quoted or read from an environment: VOLLEY_JOURNAL, a stream's name, is neither a key nor read.
    const used = new Set(
      files.flatMap((file) =>
        [...readFileSync(file, "utf8").matchAll(/\benv(?:\.|\[["']|: ["'])(VOLLEY_[A-Z0-9_]+)/g)].map(
          (match) => match[1] as string,
        ),
      ),
    );
    expect([...used].filter((name) => !documented.includes(name)).sort()).toEqual([]);
  });
});

describe("every top folder", () => {
  const folders = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !/^\.|^(?:dist|docs|node_modules)$/.test(entry.name))
    .map(({ name }) => name);

  it("has a README that says in some ten lines what it owns, and names only files that are there", () => {
    const lines = (folder: string): string[] => readFileSync(path.join(root, folder, "README.md"), "utf8").split("\n");
    expect(folders.filter((folder) => !existsSync(path.join(root, folder, "README.md")))).toEqual([]);
    expect(folders.filter((folder) => lines(folder).length > 14)).toEqual([]);
    const named = folders.flatMap((folder) =>
      [
        ...lines(folder)
          .join("\n")
          .matchAll(/`([a-z0-9/-]+(?:\.ts|\/))`/g),
      ].map(([, file]) => ({ folder, file })),
    );
    expect(named.length).toBeGreaterThan(30);
    const missing = named.filter(
      ({ folder, file }) =>
        !existsSync(path.join(root, folder, file as string)) && !existsSync(path.join(root, file as string)),
    );
    expect(missing.map(({ folder, file }) => `${folder}/README.md: ${file}`)).toEqual([]);
  });
});
