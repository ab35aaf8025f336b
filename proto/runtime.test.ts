import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { nextTurn, pause, realRuntime } from "./runtime.js";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");

/** What the simulation runs: folders, or files that begin so. */
const simulated = ["scheduler/shell", "worker/shell", "worker/store", "proto/frames", "proto/transport"];
/** Files there that a simulation never loads, each with its reason. */
const outside: Record<string, string> = {
  "scheduler/shell/metrics.ts": "Prometheus",
  "worker/shell/metrics.ts": "Prometheus",
  "worker/shell/bundles.ts": "files; injected",
  "worker/store/spill.ts": "files; injected",
  "proto/transport/nats.ts": "the network; injected",
  "proto/transport/faults.ts": "an uncaught error ends the process in a turn of its own",
};

const banned =
  /\b(?:setTimeout|setInterval|setImmediate|performance\.(?:now|timeOrigin)|Date\.now|new Date|Math\.random|randomBytes\b(?=.*node:crypto)|new Timer)\b|timers\/promises|from "(?:\.\.\/)*(?:\.\/)?timer\.js"/;

const isTestOnly = (file: string): boolean =>
  /\.test\.ts$|-rig\.ts$|\/testing\/|fake-|scripted-|-child\.ts$/.test(file);

describe("what the simulation runs", () => {
  it("takes clock, timers, turns and chance from its runtime", () => {
    const files = ["scheduler", "worker", "proto"].flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" }).map((file) => `${folder}/${file}`),
    );
    const starting = (start: string): boolean => files.some((file) => file.startsWith(start));
    expect([...simulated, ...Object.keys(outside)].filter((start) => !starting(start))).toEqual([]);
    const found = files
      .filter((file) => file.endsWith(".ts") && simulated.some((start) => file.startsWith(start)))
      .filter((file) => !isTestOnly(file) && outside[file] === undefined)
      .flatMap((file) =>
        readFileSync(path.join(root, file), "utf8")
          .split("\n")
          .flatMap((line, i) =>
            banned.test(line) && !/^\s*(?:\/?\*|\/\/)/.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : [],
          ),
      );
    expect(found).toEqual([]);
  });
});

describe("the runtime of this process", () => {
  it("waits, stops waiting, and says why it stopped", async () => {
    const ran: string[] = [];
    realRuntime.after(1, () => ran.push("after"));
    realRuntime.after(1, () => ran.push("stopped"))();
    await pause(realRuntime, 5);
    expect(ran).toEqual(["after"]);
    const abort = new AbortController();
    const waiting = pause(realRuntime, Number.POSITIVE_INFINITY, abort.signal);
    abort.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await expect(pause(realRuntime, 1, abort.signal)).rejects.toThrow("enough");
  });

  it("runs at intervals until it is stopped", async () => {
    let times = 0;
    await new Promise<void>((resolve) => {
      const stop = realRuntime.every(1, () => {
        if (++times < 3) return;
        stop();
        resolve();
      });
    });
    await pause(realRuntime, 10);
    expect(times).toBe(3);
  });

  it("gives the next turn, after what is due in this one", async () => {
    const order: string[] = [];
    const turn = nextTurn(realRuntime).then(() => order.push("turn"));
    queueMicrotask(() => order.push("microtask"));
    await turn;
    expect(order).toEqual(["microtask", "turn"]);
  });

  it("draws as many bytes as it is asked for, and tells the time by both clocks", () => {
    expect(realRuntime.randomBytes(9)).toHaveLength(9);
    const wall = realRuntime.wallMs() - realRuntime.nowMs();
    expect(Math.abs(realRuntime.wallMs() - realRuntime.nowMs() - wall)).toBeLessThan(5);
  });
});
