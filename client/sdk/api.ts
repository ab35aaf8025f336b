/**
 * The public face of the SDK, as types. Values are in index.ts; this file is what editors show.
 */
import type { Table } from "apache-arrow";
import type { Callable, Callables, FeatureCall, FeatureCarryCall, FeatureName } from "volley/kernels";
import type { BundleId, JobId } from "../../proto/ids.js";
import type { Explanation, StoryLine } from "../../proto/messages/explanation.js";
import type { FunctionRef } from "../../proto/messages/stage.js";
import type { JobStatus, WorkerStatus } from "../../proto/messages/status.js";
import type { ObjectRef } from "../../proto/object-ref.js";
import type { EncodedValue, ValueKind } from "../../proto/values/kind.js";

export type { ObjectRef } from "../../proto/object-ref.js";

export interface ConnectOptions {
  /**
   * nats://user:password@host:port of a cluster. Default: VOLLEY_URL; without it an embedded local cluster is started
   * and ends with the connection.
   */
  url?: string;
  /** Whose work it is. Default "default". */
  tenant?: string;
  /** Workers of the embedded local cluster. Default: the number of cores. */
  workers?: number;
  connectTimeoutMs?: number;
}

/** The refs of a map: n refs made as they are touched, so that a map of a million costs no million objects. */
export interface RefArray<T> extends Iterable<ObjectRef<T>> {
  readonly length: number;
  at(index: number): ObjectRef<T>;
  slice(from?: number, to?: number): ObjectRef<T>[];
}

export type Refable<T> =
  | T
  | ObjectRef<T>
  | (T extends readonly (infer U)[] ? RefArray<U> | readonly (U | ObjectRef<U>)[] : never);

export interface TaskOptions {
  /** Tries after the function itself fails. Default 0. Infrastructure failures are retried in any case. */
  retries?: number;
  /**
   * How long one attempt of one task may execute before its thread is ended and it fails with TASK_TIMEOUT. Default
   * 3,600,000 (an hour); at most 366 days.
   */
  timeoutMs?: number;
  /** Same inputs, same result: allows reuse between jobs and recomputation of lost results. */
  pure?: boolean;
  priority?: number;
  /**
   * What `taskContext().seed` of every task is drawn from: the same in every attempt, on every worker, in every job of
   * the same graph. The tasks of one function with a seed take one draw after the other, a call one and a map one for
   * each item, so no two have the same; `with({ seed })` begins the sequence again. In a graph the order of its stages
   * counts.
   */
  seed?: number;
  name?: string;
}

type Args<F> = F extends (...args: infer A) => unknown ? A : never;
type Result<F> = F extends (...args: never[]) => infer R ? Awaited<R> : never;
type RefableArgs<A extends readonly unknown[]> = { [K in keyof A]: Refable<A[K]> };
type Tail<A extends readonly unknown[]> = A extends readonly [unknown?, ...infer R] ? R : [];

export interface RemoteFunction<F> {
  readonly ref: FunctionRef;
  readonly options: TaskOptions;
  /** One task. Returns at once; submissions of one tick travel as one message. */
  submit(...args: RefableArgs<Args<F>>): ObjectRef<Result<F>>;
  /**
   * One task per item; the item is the first argument, `shared` the others. Items may be refs: task i takes the value
   * of ref i, wherever each comes from, and goes as soon as that is there. Lists of refs, and refs among values, are a
   * stage each, at most 100,000.
   */
  map(
    items: Iterable<Refable<Args<F>[0]>> | RefArray<Args<F>[0]>,
    options?: { shared?: RefableArgs<Tail<Args<F>>> },
  ): RefArray<Result<F>>;
  /** The same function with other options. */
  with(options: TaskOptions): RemoteFunction<F>;
}

export interface DeployOptions {
  /** Default of the functions' own option. */
  pure?: boolean;
  /**
   * Packages that stay outside of the bundle (large ones, ones with native parts): found at run time from where the
   * importing source lies, which is enough for workers of this machine, else from the worker's working folder, where
   * remote workers must have them installed.
   */
  external?: readonly string[];
}

/** Every exported function of a module, callable on the cluster. */
export type Library<M> = {
  readonly [K in keyof M as M[K] extends (...args: never[]) => unknown ? K : never]: RemoteFunction<M[K]>;
} & {
  readonly $bundle: BundleId;
};

/** A kernel that may be called on partitions in a row, with the same bits as on the whole. */
export interface CarryingFunction<F, C> extends RemoteFunction<F> {
  /**
   * Gives `{ table, carry }`. Its last argument is what the call on the partition before gave, or its ref; absent for
   * the first partition.
   */
  readonly withCarry: RemoteFunction<C>;
}

type MemberOf<C> =
  C extends Callable<infer F, infer Carried>
    ? [Carried] extends [never]
      ? RemoteFunction<F>
      : CarryingFunction<F, Carried>
    : never;

/**
 * The newest version of every kernel as a function. One that is not there throws FUNCTION_NOT_FOUND, which names near
 * ones. Older versions are called by `cluster.kernel("feature.rsi", version)`.
 */
export type Kernels = { readonly [N in FeatureName]: CarryingFunction<FeatureCall<N>, FeatureCarryCall<N>> } & {
  readonly [G in keyof Callables]: { readonly [M in keyof Callables[G]]: MemberOf<Callables[G][M]> };
};

/** A stage of a graph under construction; given to other stages as input. */
export interface StageRef<T> {
  readonly stage: number;
  readonly count: number;
  readonly __value?: T;
}

export type GraphArg<T> = Refable<T> | StageRef<T> | (T extends readonly (infer U)[] ? StageRef<U> : never);
type GraphArgs<A extends readonly unknown[]> = { [K in keyof A]: GraphArg<A[K]> };

/**
 * A graph of stages. `stage` is one task; `map` one task per item; `each` one task per task of the upstream stage
 * (one-to-one); `all` one task over the list of all upstream results. A StageRef as a further argument: of a one-task
 * stage it is broadcast, of a longer one it is the list of all.
 */
export interface GraphBuilder {
  readonly name: string;
  stage<F>(fn: RemoteFunction<F>, args: GraphArgs<Args<F>>, options?: TaskOptions): StageRef<Result<F>>;
  map<F>(
    fn: RemoteFunction<F>,
    items: readonly Args<F>[0][],
    options?: TaskOptions & { shared?: GraphArgs<Tail<Args<F>>> },
  ): StageRef<Result<F>>;
  each<F>(
    fn: RemoteFunction<F>,
    upstream: StageRef<Args<F>[0]>,
    options?: TaskOptions & { shared?: GraphArgs<Tail<Args<F>>> },
  ): StageRef<Result<F>>;
  all<F>(
    fn: RemoteFunction<F>,
    upstream: StageRef<Args<F>[0] extends readonly (infer U)[] ? U : unknown>,
    options?: TaskOptions & { shared?: GraphArgs<Tail<Args<F>>> },
  ): StageRef<Result<F>>;
  /** Which stages' results are the job's; default: the last stage. */
  output(...stages: StageRef<unknown>[]): void;
}

/**
 * Called with the encoded bytes of a value before they are fetched; the fetch waits for the answer. For readers that
 * bound what they hold.
 */
export type Admit = (bytes: number, kind: ValueKind) => void | Promise<void>;

/** A value as it travels. */
export interface EncodedContent {
  /** How it is encoded: an Arrow IPC stream, say. */
  readonly kind: ValueKind;
  readonly bytes: number;
  /**
   * The bytes in order, once. The last piece comes only when all of them are what the object's digest says: CORRUPT
   * before it. OBJECT_NOT_FOUND if the object was forgotten meanwhile.
   */
  pieces(): AsyncIterable<Uint8Array>;
}

export interface StreamOptions {
  /** Bytes that may be fetched before they are asked for, besides the next value. Default 64 MiB. */
  bytesAhead?: number;
  admit?: Admit;
}

/** What the description of a durable job may return: refs of its calls, alone or in arrays and records. */
export type JobOutput =
  | ObjectRef<unknown>
  | RefArray<unknown>
  | readonly JobOutput[]
  | { readonly [name: string]: JobOutput };

/** The values of those refs, in the same shape. */
export type JobValue<T> =
  T extends RefArray<infer U> ? U[] : T extends ObjectRef<infer U> ? U : { -readonly [K in keyof T]: JobValue<T[K]> };

/** What the description of a durable job is told of it. */
export interface JobDescription {
  readonly key: string;
  readonly name: string;
}

/** A durable job. `V` is what it computes: what its description returned, or the results of its first output stage. */
export interface Job<V = unknown[]> {
  readonly id: JobId;
  /** Waits for the end and fetches what the job computes; rejects as `done` does. */
  value(options?: { timeoutMs?: number }): Promise<V>;
  status(): Promise<JobStatus>;
  /**
   * Yields what the scheduler sends of every change (at most every 200 ms, the end at once) until the job has ended;
   * the last update is the terminal one.
   */
  progress(): AsyncIterable<JobStatus>;
  /** Waits for the end; rejects with the job's error if it failed or was cancelled. */
  done(options?: { timeoutMs?: number }): Promise<JobStatus>;
  /** Results of an output stage (default: the first output), in task order. */
  results<T = unknown>(stage?: number): Promise<T[]>;
  /** The same one at a time, fetched page by page, and a little ahead of the reader. */
  stream<T = unknown>(stage?: number, options?: StreamOptions): AsyncIterable<T>;
  cancel(): Promise<void>;
  explain(stage?: number, task?: number): Promise<Explanation>;
}

export interface Cluster extends AsyncDisposable {
  readonly url: string;
  readonly tenant: string;
  /** Bundles the module with esbuild, stores it under its SHA-256 and returns its functions. */
  deploy<M>(module: URL | string, options?: DeployOptions): Promise<Library<M>>;
  /**
   * The built-in kernels as functions, typed: `cluster.kernels.rsi.submit(prices, { window: 14 })`,
   * `cluster.kernels.asof.pit`.
   */
  readonly kernels: Kernels;
  /**
   * A built-in kernel as a function, by name; its newest version unless told (1 of a kernel that this installation does
   * not know). The version stands in the ids of its results.
   */
  kernel<F = (...args: never[]) => Table>(name: string, version?: number): RemoteFunction<F>;
  /**
   * A value that takes more than 512 KiB is read while it is sent: it must not change until the put has ended. Smaller
   * ones, and durable ones, are what they were when they were passed.
   */
  put<T>(value: T, options?: { durable?: boolean }): Promise<ObjectRef<T>>;
  /**
   * Puts bytes that are encoded already: `{ kind: valueKind.arrow, data }` of an Arrow IPC stream from a file, say.
   * They are copied, looked at (CORRUPT if they cannot be read), and named by their content. What this client can put
   * again, if the cluster loses it, are the newest 32 MiB of such bytes; `durable` is for more.
   */
  putEncoded<T = Table>(encoded: EncodedValue, options?: { durable?: boolean }): Promise<ObjectRef<T>>;
  get<T>(ref: ObjectRef<T>, options?: { timeoutMs?: number; admit?: Admit }): Promise<T>;
  get<T>(refs: RefArray<T> | readonly ObjectRef<T>[], options?: { timeoutMs?: number }): Promise<T[]>;
  /**
   * The value as it travels, in pieces. What lies in the durable store is read as the pieces are taken, and is never
   * whole in memory; `admit` is asked for the rest.
   */
  getEncoded(ref: ObjectRef<unknown>, options?: { timeoutMs?: number; admit?: Admit }): Promise<EncodedContent>;
  wait<T>(
    refs: RefArray<T> | readonly ObjectRef<T>[],
    options?: { count?: number; timeoutMs?: number },
  ): Promise<{ ready: ObjectRef<T>[]; pending: ObjectRef<T>[] }>;
  /**
   * The refs one by one, in the order in which they end (failed ones too: `get` says how). Throws TIMEOUT when not all
   * have ended in time.
   */
  asCompleted<T>(
    refs: RefArray<T> | readonly ObjectRef<T>[],
    options?: { timeoutMs?: number },
  ): AsyncGenerator<ObjectRef<T>, void, undefined>;
  cancel(ref: ObjectRef<unknown> | RefArray<unknown>): Promise<void>;
  /**
   * Gives results and puts back at once; without it they go when the garbage collector finds that no ref is left. What
   * reads them already goes on; the refs are not good for anything any more. Tasks that share a stage go together, with
   * the last of them.
   */
  release(refs: ObjectRef<unknown> | RefArray<unknown> | readonly ObjectRef<unknown>[]): void;
  graph(name: string): GraphBuilder;
  /**
   * Submits a graph as a durable job. `key` makes the submission idempotent, and so does `id`, the job's own id (else
   * one is minted): an error without an answer (TIMEOUT, DISCONNECTED, NO_SCHEDULER) has it as `details.job`, to ask
   * `job(id)` whether it was taken, or to submit again. Objects it reads are made durable first.
   */
  run(
    graph: GraphBuilder | import("../../proto/graph.js").CompiledGraph,
    options?: { key?: string; id?: string },
  ): Promise<Job>;
  /**
   * The same calls as a durable job: while `describe` runs, `submit` and `map` add stages to the job, and what it
   * returns is the job's value. It returns at once and awaits nothing; values of the session and what was put may be
   * arguments. Equal calls are not joined: use `map` for many. With a key that was used before it gives that job.
   */
  durable<const T extends JobOutput>(
    key: string,
    describe: (job: JobDescription) => T,
    options?: { name?: string; id?: string },
  ): Promise<Job<JobValue<T>>>;
  /** A job by its id, whoever submitted it. */
  job(id: string): Job;
  jobs(options?: { limit?: number }): Promise<JobStatus[]>;
  workers(): Promise<{ workers: WorkerStatus[]; queued: number; running: number }>;
  /** Why the ref's task is where it is, and what happened to it: `story`, oldest first, as far as it is kept. */
  explain(ref: ObjectRef<unknown>): Promise<Explanation>;
  /** What happened to a worker, or to a lease, as far as it is kept; oldest first. */
  story(of: { worker: string } | { lease: string }): Promise<StoryLine[]>;
  close(): Promise<void>;
}
