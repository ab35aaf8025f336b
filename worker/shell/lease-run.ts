/**
 * One lease from order to end, outside of the core: its inputs and code, its run on a slot, its large results on their
 * way into the store. Tells the core what happens, in the order that events.ts (W1..W6) promises.
 */

import { hexOf } from "../../proto/digest.js";
import type { BlobWriter } from "../../proto/durable/durable.js";
import { objectBlobName } from "../../proto/durable/objects.js";
import { isVolleyError, toWireError, VolleyError, type WireError } from "../../proto/errors.js";
import { objectIdOf } from "../../proto/ids.js";
import type { Lease } from "../../proto/messages/worker.js";
import type { Runtime } from "../../proto/runtime.js";
import type { WorkerEvent } from "../core/events.js";
import type { ThreadFunction } from "../pool/run-message.js";
import type { LargeResult, Run } from "../pool/run-spec.js";
import type { ObjectStore } from "../store/store.js";
import type { InputResolver, PreparedInputs } from "./inputs.js";
import type { AgentBundles, AgentPool } from "./parts.js";

export interface LeaseRunContext {
  readonly pool: Pick<AgentPool, "run">;
  readonly store: ObjectStore;
  readonly inputs: InputResolver;
  readonly bundles: AgentBundles;
  readonly durable: BlobWriter;
  readonly runtime: Runtime;
  emit(event: WorkerEvent): void;
  onSlotTime(us: number): void;
  onEnded(seconds: number): void;
  onFault(error: unknown, where: string): void;
}

const keepTriesMax = 30;

/** Faults of the code or of an upstream task stay faults wherever the lease runs; everything else is given back. */
const definite: ReadonlySet<WireError["code"]> = new Set([
  "BUNDLE_NOT_FOUND",
  "FUNCTION_NOT_FOUND",
  "UPSTREAM_FAILED",
  "INVALID_DATA",
]);

export class LeaseRun {
  readonly #context: LeaseRunContext;
  readonly #lease: Lease;
  /** Of two results of one task, that of the lease that came later is kept (store S5). */
  readonly #order: number;
  readonly #startedAtMs: number;
  #prepared: (PreparedInputs & { fn: ThreadFunction }) | undefined;
  #run: Run | undefined;
  #released = false;
  #killed = false;
  /** While its inputs are being brought here: aborted when the lease is over before it could run. */
  #bringing: AbortController | undefined;
  /** Large results that are not in the store yet. */
  readonly #storing = new Set<Promise<void>>();

  constructor(context: LeaseRunContext, lease: Lease, order: number) {
    this.#context = context;
    this.#lease = lease;
    this.#order = order;
    this.#startedAtMs = context.runtime.nowMs();
  }

  /** Tells that it is ready, or cannot be: at once when there is nothing to wait for. */
  prepare(): void {
    const fn = this.#codeNow();
    const inputs = fn && this.#context.inputs.prepareNow(this.#lease);
    if (fn && inputs) this.#ready(fn, inputs);
    else void this.#bring();
  }

  #ready(fn: ThreadFunction, inputs: PreparedInputs): void {
    this.#prepared = { ...inputs, fn };
    this.#context.emit({ e: "ready", lease: this.#lease.lease });
  }

  async #bring(): Promise<void> {
    const { lease } = this.#lease;
    try {
      const waits = (what: "inputs" | "memory"): void => this.#context.emit({ e: "waits", lease, for: what });
      const [fn, inputs] = await settleBoth(
        this.#code(),
        this.#context.inputs.prepare(this.#lease, () => this.#signal(), waits),
      );
      this.#bringing = undefined;
      if (this.#released) {
        inputs.release();
        return;
      }
      this.#ready(fn, inputs);
    } catch (error) {
      if (this.#released) return;
      const wire = toWireError(error);
      if (!isVolleyError(error)) this.#context.onFault(error, "prepare");
      this.#context.emit({
        e: "unready",
        lease,
        error: wire,
        giveBack: !definite.has(wire.code) && wire.details?.neededBytes === undefined,
      });
    }
  }

  /** Most leases wait for nothing, and a signal costs more than a small task. */
  #signal(): AbortSignal {
    this.#bringing ??= new AbortController();
    if (this.#released) this.#bringing.abort(this.#over());
    return this.#bringing.signal;
  }

  #over(): VolleyError {
    return new VolleyError("CANCELLED", `lease ${this.#lease.lease} is over`);
  }

  #codeNow(): ThreadFunction | undefined {
    const { fn } = this.#lease;
    if ("kernel" in fn) return fn;
    const url = this.#context.bundles.urlNow(fn.bundle);
    return url === undefined ? undefined : { bundle: fn.bundle, export: fn.export, url };
  }

  async #code(): Promise<ThreadFunction> {
    const { fn } = this.#lease;
    if ("kernel" in fn) return fn;
    return { bundle: fn.bundle, export: fn.export, url: await this.#context.bundles.url(fn.bundle) };
  }

  start(slot: number, from: number, to: number): void {
    const prepared = this.#prepared;
    if (!prepared) throw new Error(`lease ${this.#lease.lease} is run before it is ready`);
    const { lease, job, stage, attempt, options, durable } = this.#lease;
    const run = this.#context.pool.run(
      slot,
      {
        lease,
        job,
        stage,
        attempt,
        seed: options.seed,
        seedFrom: options.seedFrom,
        fn: prepared.fn,
        args: prepared.args,
        from,
        to,
        digests: durable,
        timeoutMs: options.timeoutMs,
      },
      {
        results: (segment, slotTimeUs) => {
          this.#context.onSlotTime(slotTimeUs);
          this.#context.emit({ e: "results", lease, segment, slotTimeUs });
        },
        large: (result) => {
          const stored = this.#store(result).finally(() => this.#storing.delete(stored));
          this.#storing.add(stored);
        },
      },
    );
    this.#run = run;
    void run.vacated.then(() => {
      if (this.#run === run) this.#context.emit({ e: "vacated", lease });
    });
    void run.done
      .then(() => Promise.all(this.#storing))
      .then(() => {
        if (this.#run !== run) return;
        this.#run = undefined;
        this.#context.onEnded((this.#context.runtime.nowMs() - this.#startedAtMs) / 1000);
        this.#context.emit({ e: "ended", lease });
      });
  }

  /** True: it has not begun and will not, and may be started again. */
  recall(): boolean {
    if (!this.#run?.recall()) return false;
    this.#run = undefined;
    return true;
  }

  limit(to: number): number | undefined {
    return this.#run?.limit(to);
  }

  kill(): void {
    this.#killed = true;
    this.#run?.kill();
  }

  release(): void {
    this.#released = true;
    this.#bringing?.abort(this.#over());
    this.#prepared?.release();
    this.#prepared = undefined;
  }

  /**
   * What has been computed is not computed again because NATS was away: every try waits for its return for a minute,
   * and there are quite a few.
   */
  async #keep(name: string, data: Uint8Array, sha256: Uint8Array | undefined): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#context.durable.put(name, data, sha256 && hexOf(sha256));
        return;
      } catch (error) {
        if (!isVolleyError(error) || error.code !== "DISCONNECTED" || this.#killed || tries === keepTriesMax)
          throw error;
        this.#context.onFault(error, `keeping a result of lease ${this.#lease.lease}; trying again`);
      }
    }
  }

  /** Into the store, and for durable leases into the durable store, before the core hears of it (W6). */
  async #store({ task, kind, data, room, digest, sha256, slotTimeUs, stored }: LargeResult): Promise<void> {
    const { lease, stage, base, durable } = this.#lease;
    const { store } = this.#context;
    const id = objectIdOf(base, task);
    const options = { copy: durable, order: this.#order };
    let open = room;
    this.#context.onSlotTime(slotTimeUs);
    try {
      if (durable) await this.#keep(objectBlobName(id, digest), data, sha256);
      open = undefined;
      const isHeld = room
        ? store.seal(id, room, { kind, digest }, options)
        : await store.put(id, data, { kind, digest }, options);
      // The store has what came later under this id: the scheduler has given the task out again, and what this lease
      // made is not asked for any more; or, where it lies in the durable store as well, somebody else's content has
      // come by.
      if (!isHeld && !durable) return;
      this.#context.emit({
        e: "results",
        lease,
        segment: { r: "stored", stage, from: task, to: task + 1, stored: [{ bytes: data.byteLength, kind, digest }] },
        slotTimeUs,
        ...(isHeld ? {} : { elsewhere: true as const }),
      });
    } catch (error) {
      const wire = toWireError(error);
      // Too large is so everywhere, and a full store is this worker's own; with the durable store out of reach the task
      // goes back.
      if (wire.code === "TOO_LARGE" || wire.code === "OUT_OF_MEMORY") {
        this.#context.emit({
          e: "results",
          lease,
          segment: { r: "failed", stage, from: task, to: task + 1, error: wire },
          slotTimeUs,
        });
      } else this.#context.onFault(error, `storing the result of task ${task} of lease ${lease}`);
    } finally {
      if (open) store.abandon(open);
      stored();
    }
  }
}

/** Both, or the first failure; what was held by the other is let go. */
async function settleBoth<A, B extends { release(): void }>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  const [a, b] = await Promise.allSettled([first, second]);
  if (a.status === "fulfilled" && b.status === "fulfilled") return [a.value, b.value];
  if (b.status === "fulfilled") b.value.release();
  throw a.status === "rejected" ? a.reason : (b as PromiseRejectedResult).reason;
}
