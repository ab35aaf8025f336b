/** For tests: one slot, hostile functions, and what is heard of every task. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect } from "vitest";
import type { WireError } from "../../../proto/errors.js";
import type { JobId } from "../../../proto/ids.js";
import { patienceMs } from "../../../proto/testing/patience.js";
import { PackReader } from "../../../proto/values/pack.js";
import { decodeValue, type EncodedValue } from "../../../proto/values/value.js";
import { createSharedMemory } from "../../store/memory.js";
import { SlotPool } from "../pool.js";
import type { LargeResult, Run, RunSpec } from "../run-spec.js";
import { hostileModule } from "./hostile-module.js";

export interface Received {
  readonly values: Map<number, unknown>;
  readonly errors: Map<number, WireError>;
  readonly digests: Map<number, Uint8Array>;
  readonly large: Map<number, LargeResult>;
  /** In the order they were heard. */
  readonly order: number[];
}

export class SlotRig {
  readonly memory = createSharedMemory();
  readonly pool: SlotPool;
  readonly url: string;
  /** What the machine says it has left. */
  availableBytes = Number.POSITIVE_INFINITY;
  logs: { level: string; where: string; text: string; dropped: number }[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), "volley-pool-test-"));

  constructor() {
    this.url = this.module(hostileModule);
    this.pool = new SlotPool({
      slots: 1,
      memory: this.memory,
      heapBytesMax: 96 * 2 ** 20,
      probe: { availableBytes: () => this.availableBytes, ownBytes: () => process.memoryUsage.rss() },
      onLog: (line) => this.logs.push(line),
    });
  }

  async close(): Promise<void> {
    await this.pool.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** The URL of a module of this text. */
  module(text: string): string {
    const file = join(this.#folder, `${createHash("sha256").update(text).digest("hex")}.mjs`);
    writeFileSync(file, text);
    return pathToFileURL(file).href;
  }

  spec(name: string, from: number, to: number, more: Partial<RunSpec> = {}): RunSpec {
    return {
      job: "j1" as JobId,
      stage: 2,
      attempt: 1,
      seed: undefined,
      fn: { bundle: "b".repeat(64), url: this.url, export: name },
      args: [{ a: "index" }],
      from,
      to,
      digests: false,
      timeoutMs: patienceMs,
      ...more,
    };
  }

  /** `on` hears of every task that has a result; none may have two. */
  start(
    what: RunSpec,
    on: (task: number) => void = () => undefined,
  ): { run: Run; outcome: Received; done: Promise<Received> } {
    const outcome: Received = { values: new Map(), errors: new Map(), digests: new Map(), large: new Map(), order: [] };
    const received = (task: number): void => {
      expect(outcome.order, "a result came twice").not.toContain(task);
      outcome.order.push(task);
      on(task);
    };
    const run = this.pool.run(0, what, {
      results(segment) {
        for (let task = segment.from; task < segment.to; task++) {
          received(task);
          if (segment.r === "failed") outcome.errors.set(task, segment.error);
          if (segment.r !== "inline") continue;
          const at = task - segment.from;
          outcome.values.set(task, decodeValue(new PackReader(segment.pack).at(at)));
          if (segment.digests) outcome.digests.set(task, segment.digests.slice(at * 16, (at + 1) * 16));
        }
      },
      large(result) {
        received(result.task);
        outcome.large.set(result.task, result);
        outcome.values.set(result.task, decodeValue(result as unknown as EncodedValue));
        result.stored();
      },
    });
    return { run, outcome, done: run.done.then(() => outcome) };
  }

  execute(name: string, from: number, to: number, more: Partial<RunSpec> = {}): Promise<Received> {
    return this.start(this.spec(name, from, to, more)).done;
  }
}
