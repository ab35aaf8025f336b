/** For tests: a pool of one thread beside a store, with modules written on the fly. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { digestOf } from "../../../proto/digest.js";
import type { WireError } from "../../../proto/errors.js";
import type { JobId, ObjectId } from "../../../proto/ids.js";
import { patienceMs } from "../../../proto/testing/patience.js";
import { PackReader } from "../../../proto/values/pack.js";
import { decodeValue, type EncodedValue, encodeValue } from "../../../proto/values/value.js";
import { ObjectStore } from "../../store/store.js";
import { SlotPool } from "../pool.js";
import type { Source, ThreadArg } from "../run-message.js";
import type { RunSpec } from "../run-spec.js";

export interface Outcome {
  readonly values: unknown[];
  readonly errors: Map<number, WireError>;
  readonly slotTimesUs: number[];
}

export class PoolRig {
  readonly folder = mkdtempSync(join(tmpdir(), "volley-rig-"));
  readonly store: ObjectStore;
  readonly pool: SlotPool;

  constructor(options: { storeBytes?: number; heapBytes?: number; slots?: number } = {}) {
    this.store = new ObjectStore({
      budgetBytes: options.storeBytes ?? 64 * 2 ** 20,
      spillParent: join(this.folder, "spill"),
    });
    this.pool = new SlotPool({
      slots: options.slots ?? 1,
      memory: this.store.memory,
      heapBytesMax: options.heapBytes ?? 128 * 2 ** 20,
    });
  }

  /** The URL of a module of this text. */
  module(text: string): string {
    const file = join(this.folder, `${createHash("sha256").update(text).digest("hex")}.mjs`);
    writeFileSync(file, text);
    return pathToFileURL(file).href;
  }

  async put(id: string, value: unknown): Promise<void> {
    const { kind, data } = encodeValue(value);
    await this.store.put(id as ObjectId, data, { kind, digest: digestOf(kind, data) });
  }

  /** Runs `read` with the object in place, as a lease does. */
  async pinned<T>(ids: readonly string[], read: (sources: Source[]) => Promise<T>): Promise<T> {
    const pins = await Promise.all(ids.map((id) => this.store.pin(id as ObjectId)));
    try {
      return await read(pins.map(({ kind, handle, offset, bytes }) => ({ kind, handle, offset, bytes })));
    } finally {
      for (const pin of pins) pin.release();
    }
  }

  /** Tasks [0, count) of an export of a module, as one lease. */
  async run(
    url: string,
    name: string,
    count: number,
    args: readonly ThreadArg[],
    more: Partial<RunSpec> = {},
  ): Promise<Outcome> {
    const outcome: Outcome = { values: new Array(count), errors: new Map(), slotTimesUs: [] };
    const fn = { bundle: createHash("sha256").update(url).digest("hex"), url, export: name };
    const spec: RunSpec = {
      job: "j" as JobId,
      stage: 0,
      attempt: 1,
      seed: undefined,
      fn,
      args,
      from: 0,
      to: count,
      digests: false,
      timeoutMs: patienceMs,
      ...more,
    };
    await this.pool.run(0, spec, {
      results: (segment, slotTimeUs) => {
        outcome.slotTimesUs.push(slotTimeUs);
        for (let task = segment.from; task < segment.to; task++) {
          if (segment.r === "failed") outcome.errors.set(task, segment.error);
          if (segment.r === "inline")
            outcome.values[task] = decodeValue(new PackReader(segment.pack).at(task - segment.from));
        }
      },
      large: (result) => {
        outcome.values[result.task] = decodeValue(result as unknown as EncodedValue);
        result.stored();
      },
    }).done;
    return outcome;
  }

  async close(): Promise<void> {
    await this.pool.close();
    this.store.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
