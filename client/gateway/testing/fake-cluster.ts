/** A cluster in memory for the gateway's tests: jobs whose states a test moves by hand, objects in a map. */
import { Table, tableToIPC } from "apache-arrow";
import { putObjectId } from "../../../proto/address.js";
import { VolleyError } from "../../../proto/errors.js";
import type { CompiledGraph } from "../../../proto/graph.js";
import type { JobId, ObjectId, TenantId } from "../../../proto/ids.js";
import type { JobStatus } from "../../../proto/messages/status.js";
import { encodeValue } from "../../../proto/values/value.js";
import type { Admit, EncodedContent, Job, ObjectRef, StreamOptions } from "../../sdk/api.js";
import type { GatewayCluster } from "../context.js";

export class FakeJob {
  status: JobStatus;
  readonly results = new Map<number, unknown[]>();
  /** Called at every change. */
  readonly listeners = new Set<() => void>();

  constructor(id: string, graph: CompiledGraph) {
    const stages = graph.stages.map((stage) => ({
      index: stage.index,
      name: stage.name ?? `stage ${stage.index}`,
      count: stage.count,
      waiting: 0,
      queued: stage.count,
      running: 0,
      succeeded: 0,
      failed: 0,
      cancelled: 0,
      reused: 0,
      retried: 0,
    }));
    const tasks = stages.reduce((sum, stage) => sum + stage.count, 0);
    this.status = {
      ...{
        job: id as JobId,
        name: graph.name,
        tenant: "default" as TenantId,
        durable: true,
        state: "running",
        submittedAtMs: 1,
        stages,
        outputs: [...graph.outputs],
        tasks,
      },
      ...{ succeeded: 0, reused: 0, executed: 0, retried: 0, slotTimeUs: 0, resultBytes: 0 },
    };
  }

  update(change: Partial<JobStatus>): void {
    this.status = { ...this.status, ...change };
    for (const listener of this.listeners) listener();
  }

  succeed(results: unknown[], stage = this.status.outputs[0] ?? 0): void {
    this.results.set(stage, results);
    this.update({
      state: "succeeded",
      succeeded: this.status.tasks,
      executed: this.status.tasks,
      digest: "d".repeat(64),
      endedAtMs: 2,
    });
  }
}

export class FakeCluster implements GatewayCluster {
  readonly jobsById = new Map<string, FakeJob>();
  readonly keys = new Map<string, { job: string; graph: string }>();
  readonly objects = new Map<string, unknown>();
  /** Results that were fetched. */
  fetched = 0;
  /** Iterators of progress that are open. */
  following = 0;
  /** What `workers` fails with, if anything. */
  failure: Error | undefined;

  /** Pieces of objects that were read so far, and the one that cannot be. */
  piecesTaken = 0;
  spoiltPiece = 0;

  async run(graph: Parameters<GatewayCluster["run"]>[0], options: { key?: string } = {}): Promise<Job> {
    const compiled = graph as CompiledGraph;
    const text = JSON.stringify(compiled);
    const known = options.key === undefined ? undefined : this.keys.get(options.key);
    if (known && known.graph !== text)
      throw new VolleyError("CONFLICT", `the key ${options.key} was used with another graph`);
    if (known) return this.job(known.job);
    const id = `job-${this.jobsById.size + 1}`;
    this.jobsById.set(id, new FakeJob(id, compiled));
    if (options.key !== undefined) this.keys.set(options.key, { job: id, graph: text });
    return this.job(id);
  }

  fake(id: string): FakeJob {
    const found = this.jobsById.get(id);
    if (!found) throw new VolleyError("JOB_NOT_FOUND", `there is no job ${id}`);
    return found;
  }

  job(id: string): Job {
    return {
      id: id as JobId,
      status: async () => this.fake(id).status,
      progress: () => this.#progress(id),
      done: async () => this.fake(id).status,
      value: async () => this.fake(id).results.get(0) ?? [],
      results: async <T>(stage = 0) => (this.fake(id).results.get(stage) ?? []) as T[],
      stream: <T>(stage = 0, options: StreamOptions = {}) => this.#stream(id, stage, options) as AsyncIterable<T>,
      cancel: async () => this.fake(id).update({ state: "cancelled" }),
      explain: async (stage = 0, task = 0) => ({
        job: id as JobId,
        stage,
        task,
        state: "queued",
        reason: "NO_SLOT",
        text: "no slot is free",
        attempt: 0,
      }),
    };
  }

  async *#progress(id: string): AsyncGenerator<JobStatus> {
    const job = this.fake(id);
    let wake = (): void => undefined;
    const listener = (): void => wake();
    job.listeners.add(listener);
    this.following++;
    try {
      for (;;) {
        const { status } = job;
        yield status;
        if (status.state !== "running") return;
        while (job.status === status) await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      job.listeners.delete(listener);
      this.following--;
    }
  }

  /** One at a time: the next is admitted when the reader asks for it. */
  async *#stream(id: string, stage: number, { admit }: StreamOptions): AsyncGenerator<unknown> {
    for (const result of this.fake(id).results.get(stage) ?? []) {
      const value: unknown = typeof result === "function" ? (result as () => unknown)() : result;
      const { kind, data } = encodeValue(value);
      await admit?.(data.byteLength, kind);
      this.fetched++;
      yield value;
    }
  }

  async jobs(options: { limit?: number } = {}): Promise<JobStatus[]> {
    return [...this.jobsById.values()].map((job) => job.status).slice(0, options.limit);
  }

  async workers(): ReturnType<GatewayCluster["workers"]> {
    if (this.failure) throw this.failure;
    return { workers: [], queued: 0, running: 0 };
  }

  async put<T>(value: T): Promise<ObjectRef<T>> {
    const id = value instanceof Table ? putObjectId(2, tableToIPC(value, "stream")) : ("c0-0" as ObjectId);
    this.objects.set(id, value);
    return { id };
  }

  async get<T>(ref: unknown, options: { timeoutMs?: number; admit?: Admit } = {}): Promise<T> {
    const { id } = ref as { id: string };
    if (!this.objects.has(id)) throw new VolleyError("OBJECT_NOT_FOUND", `there is no object ${id}`);
    const value = this.objects.get(id) as T;
    const { kind, data } = encodeValue(value);
    await options.admit?.(data.byteLength, kind);
    return value;
  }

  /** Pieces of at most 64 KiB. */
  async getEncoded(
    ref: ObjectRef<unknown>,
    options: { timeoutMs?: number; admit?: Admit } = {},
  ): Promise<EncodedContent> {
    const { kind, data } = encodeValue(await this.get(ref, options));
    const cluster = this;
    return {
      kind,
      bytes: data.byteLength,
      pieces: async function* () {
        for (let at = 0; at < data.byteLength; at += 65_536) {
          cluster.piecesTaken++;
          if (cluster.spoiltPiece === cluster.piecesTaken) throw new VolleyError("CORRUPT", "not what was written");
          yield data.subarray(at, at + 65_536);
        }
      },
    };
  }
}
