/** One connection to a cluster: the public verbs, each handed to the part that owns it. */

import type { Table } from "apache-arrow";
import { resolveKernel } from "../../kernels/catalog/catalog.js";
import { VolleyError } from "../../proto/errors.js";
import type { CompiledGraph } from "../../proto/graph.js";
import { isName, isObjectId, type JobId, type LeaseId, type TenantId, type WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { Explanation, StoryLine } from "../../proto/messages/explanation.js";
import type { JobStatus } from "../../proto/messages/status.js";
import { checkTimeoutMs, Timer } from "../../proto/timer.js";
import type { EncodedValue } from "../../proto/values/kind.js";
import type {
  Admit,
  Cluster,
  DeployOptions,
  EncodedContent,
  GraphBuilder,
  Job,
  JobDescription,
  JobOutput,
  JobValue,
  Kernels,
  Library,
  ObjectRef,
  RefArray,
  RemoteFunction,
} from "./api.js";
import { asCompleted } from "./as-completed.js";
import type { Backend } from "./backend.js";
import { DataPlane } from "./data.js";
import { bundleModule } from "./deploy.js";
import { describeJob } from "./durable-job.js";
import { asBuilder, Graph } from "./graph.js";
import { RemoteJob } from "./job.js";
import { kernelsBy } from "./kernels.js";
import { Objects } from "./objects.js";
import { within } from "./patience.js";
import { isRefArray, PutRef, RefList, TaskRef, TaskRefArray } from "./refs.js";
import { asRemote, libraryOf, RemoteCallable } from "./remote-function.js";
import { mintId, submitGraph } from "./run-graph.js";
import { Session, type SessionOptions } from "./session.js";
import { StackTraces } from "./stack-traces.js";
import { Values } from "./value-of.js";

export interface ClusterOptions {
  readonly backend: Backend;
  readonly tenant: TenantId;
  readonly timeoutMs: number;
  readonly unreachableMs?: number;
  onError(error: unknown): void;
  /** Ends what was started for this connection alone. */
  onClose?(): Promise<void>;
}

type Refs<T> = RefArray<T> | readonly ObjectRef<T>[];

export class ClusterClient implements Cluster {
  readonly url: string;
  readonly tenant: TenantId;
  readonly kernels: Kernels = kernelsBy(({ name, version }) => this.#kernel(name, version));
  readonly #options: ClusterOptions;
  readonly #session: Session;
  readonly #data: DataPlane;
  readonly #objects: Objects;
  readonly #values: Values;
  readonly #stacks = new StackTraces();
  readonly #bundles = new Map<string, Promise<void>>();
  #closing: Promise<void> | undefined;

  private constructor(options: ClusterOptions) {
    this.#options = options;
    this.url = options.backend.url;
    this.tenant = options.tenant;
    const client = mintId() as SessionOptions["client"];
    this.#session = new Session({
      transport: options.backend.control,
      client,
      session: mintId() as JobId,
      tenant: options.tenant,
      onError: options.onError,
      ...(options.backend.keepAlive ? { keepAlive: options.backend.keepAlive } : {}),
      ...(options.unreachableMs === undefined ? {} : { unreachableMs: options.unreachableMs }),
    });
    this.#data = new DataPlane(options.backend, client, options.onError);
    this.#objects = new Objects(this.#session, options.backend, this.#data);
    this.#values = new Values(this.#objects, this.#stacks);
  }

  static async open(options: ClusterOptions): Promise<ClusterClient> {
    const cluster = new ClusterClient(options);
    await cluster.#session.open(options.timeoutMs);
    return cluster;
  }

  async deploy<M>(module: URL | string, options: DeployOptions = {}): Promise<Library<M>> {
    this.#session.assertOpen();
    const { external, ...defaults } = options;
    const bundle = await bundleModule(module, external === undefined ? {} : { external });
    let stored = this.#bundles.get(bundle.id);
    if (!stored) {
      stored = this.#options.backend.durable().then(({ bundles }) => bundles.put(bundle.id, bundle.code));
      stored.catch(() => this.#bundles.delete(bundle.id));
      this.#bundles.set(bundle.id, stored);
    }
    await stored;
    this.#stacks.add(bundle);
    return libraryOf<M>(this.#session, this.#objects.puts, bundle, defaults);
  }

  kernel<F>(name: string, version?: number): RemoteFunction<F> {
    return asRemote<F>(this.#kernel(name, version));
  }

  #kernel(name: string, version?: number): RemoteCallable {
    return new RemoteCallable(this.#session, this.#objects.puts, resolveKernel(name, version), {});
  }

  put<T>(value: T, options: { durable?: boolean } = {}): Promise<ObjectRef<T>> {
    return this.#objects.put(value, options);
  }

  putEncoded<T = Table>(encoded: EncodedValue, options: { durable?: boolean } = {}): Promise<ObjectRef<T>> {
    return this.#objects.putEncoded<T>(encoded, options);
  }

  get<T>(ref: ObjectRef<T>, options?: { timeoutMs?: number; admit?: Admit }): Promise<T>;
  get<T>(refs: Refs<T>, options?: { timeoutMs?: number }): Promise<T[]>;
  get<T>(given: ObjectRef<T> | Refs<T>, options?: { timeoutMs?: number; admit?: Admit }): Promise<T | T[]> {
    try {
      this.#session.assertOpen();
      const timeoutMs = options?.timeoutMs;
      if (given instanceof TaskRef) {
        // The usual case, without anything around it.
        if (timeoutMs === undefined) return this.#values.get<T>(given);
        return within(timeoutMs, "get", (patience) => this.#values.get<T>(given, patience));
      }
      if (isRefArray(given) || Array.isArray(given)) {
        const refs = given instanceof RefList ? given.slice() : given;
        if (Array.isArray(refs)) refs.forEach(checkRef);
        return within(timeoutMs, `get of ${refs.length} refs`, (patience) =>
          this.#values.getAll<T>(refs as TaskRefArray<T> | ObjectRef<T>[], patience),
        );
      }
      checkRef(given);
      return within(timeoutMs, "get", (patience) =>
        this.#values.get<T>(given as ObjectRef<T>, patience, options?.admit),
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async getEncoded(
    ref: ObjectRef<unknown>,
    { timeoutMs, admit }: { timeoutMs?: number; admit?: Admit } = {},
  ): Promise<EncodedContent> {
    this.#session.assertOpen();
    checkRef(ref);
    return within(timeoutMs, "getEncoded", (patience) => this.#values.open(ref, patience, admit));
  }

  async wait<T>(
    given: Refs<T>,
    options: { count?: number; timeoutMs?: number } = {},
  ): Promise<{ ready: ObjectRef<T>[]; pending: ObjectRef<T>[] }> {
    this.#session.assertOpen();
    const { timeoutMs } = options;
    checkTimeoutMs(timeoutMs);
    const refs: ObjectRef<T>[] = [...given];
    refs.forEach(checkRef);
    const count = Math.min(options.count ?? refs.length, refs.length);
    if (!Number.isInteger(count) || count < 0)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `count is ${String(options.count)}; expected a whole number of refs to wait for`,
      );
    const settled = new Uint8Array(refs.length);
    let left = count;
    const stops: (() => void)[] = [];
    let timer: Timer | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        refs.forEach((ref, i) => {
          const stop = this.#values.whenSettled(ref, (failure) => {
            if (failure) {
              reject(failure);
              return;
            }
            settled[i] = 1;
            if (--left <= 0) resolve();
          });
          stops.push(stop);
        });
        if (left <= 0) resolve();
        if (timeoutMs !== undefined) timer = new Timer(() => setImmediate(resolve), timeoutMs);
      });
    } finally {
      timer?.stop();
      refs.forEach((_, i) => {
        if (!settled[i]) stops[i]?.();
      });
    }
    return { ready: refs.filter((_, i) => settled[i]), pending: refs.filter((_, i) => !settled[i]) };
  }

  asCompleted<T>(given: Refs<T>, options: { timeoutMs?: number } = {}): AsyncGenerator<ObjectRef<T>, void, undefined> {
    this.#session.assertOpen();
    checkTimeoutMs(options.timeoutMs);
    const refs: ObjectRef<T>[] = [...given];
    refs.forEach(checkRef);
    return asCompleted(refs, (ref, ready) => this.#values.whenSettled(ref, ready), options.timeoutMs);
  }

  release(given: ObjectRef<unknown> | Refs<unknown>): void {
    if (given instanceof TaskRefArray) this.#session.release(given.handle, given.from, given.to);
    else if (given instanceof TaskRef) this.#session.release(given.handle, given.task, given.task + 1);
    else if (given instanceof PutRef) this.#objects.puts.release(given);
    else if (given instanceof RefList || Array.isArray(given))
      for (const ref of given as Iterable<ObjectRef<unknown>>) this.release(ref);
    else checkRef(given);
  }

  async cancel(ref: ObjectRef<unknown> | RefArray<unknown>): Promise<void> {
    if (ref instanceof RefList) {
      await Promise.all(ref.slice().map((one) => this.cancel(one)));
      return;
    }
    const range =
      ref instanceof TaskRefArray
        ? { handle: ref.handle, from: ref.from, to: ref.to }
        : ref instanceof TaskRef
          ? { handle: ref.handle, from: ref.task, to: ref.task + 1 }
          : undefined;
    if (!range)
      throw new VolleyError("INVALID_ARGUMENT", "only tasks can be cancelled; this ref is of a value that was put");
    await this.#session.cancel(range.handle, range.from, range.to);
  }

  graph(name: string): GraphBuilder {
    return asBuilder(new Graph(name));
  }

  async run(graph: GraphBuilder | CompiledGraph, options: { key?: string; id?: string } = {}): Promise<Job> {
    this.#session.assertOpen();
    if (!(graph instanceof Graph)) return this.#submit(graph as CompiledGraph, options);
    // Tasks whose results the graph reads must have ended before the results can be made durable.
    await Promise.all([...graph.refs.values()].map((ref) => this.#values.ended(ref)));
    return this.#submit(graph.compile(), options);
  }

  async durable<const T extends JobOutput>(
    key: string,
    describe: (job: JobDescription) => T,
    { name = key, id }: { name?: string; id?: string } = {},
  ): Promise<Job<JobValue<T>>> {
    this.#session.assertOpen();
    const { graph, shape } = describeJob(this.#session, name, () => describe({ key, name }));
    const options = { key, ...(id === undefined ? {} : { id }) };
    const job = await this.run(asBuilder(graph), options);
    return new RemoteJob<JobValue<T>>(job.id, this.#session.requests, this.#objects, this.#stacks, shape);
  }

  async #submit(graph: CompiledGraph, options: { key?: string; id?: string }): Promise<Job> {
    const { job } = await submitGraph(this.#session, this.#objects, graph, options);
    return new RemoteJob(job, this.#session.requests, this.#objects, this.#stacks);
  }

  job(id: string): Job {
    if (!isName(id))
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `job id ${JSON.stringify(id)}: expected 1 to 64 letters, digits, _ or -`,
      );
    return new RemoteJob(id as JobId, this.#session.requests, this.#objects, this.#stacks);
  }

  async jobs(options: { limit?: number } = {}): Promise<JobStatus[]> {
    const limit = Math.min(options.limit ?? 100, limits.jobsListedMax);
    return (await this.#session.requests.ask({ t: "list", tenant: this.tenant, limit }, "jobs")).jobs;
  }

  async workers() {
    const { workers, queued, running } = await this.#session.requests.ask({ t: "workers" }, "workers");
    return { workers, queued, running };
  }

  async explain(ref: ObjectRef<unknown>): Promise<Explanation> {
    if (!(ref instanceof TaskRef))
      throw new VolleyError("INVALID_ARGUMENT", "only tasks can be explained; this ref is of a value that was put");
    this.#session.flush();
    const { handle, task } = ref;
    return (
      await this.#session.requests.ask(
        { t: "explain", job: this.#session.id, stage: handle.stage.index, task },
        "explanation",
      )
    ).explanation;
  }

  async story(of: { worker: string } | { lease: string }): Promise<StoryLine[]> {
    const request = "worker" in of ? { worker: of.worker as WorkerId } : { lease: of.lease as LeaseId };
    return (await this.#session.requests.ask({ t: "story", ...request }, "story")).lines;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#session.close();
    await this.#data.close();
    await this.#options.backend.close();
    await this.#options.onClose?.();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function checkRef(ref: unknown): asserts ref is ObjectRef<unknown> {
  const id: unknown = typeof ref === "object" && ref !== null ? (ref as { id?: unknown }).id : undefined;
  if (typeof id !== "string" || !isObjectId(id))
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `expected a ref, got ${typeof ref === "object" ? JSON.stringify(ref) : String(ref)}`,
    );
}
