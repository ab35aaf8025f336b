/** The functions of a deployed module, and built-in kernels, as callables. */
import type { FunctionRef } from "../../proto/messages/stage.js";
import type { Library, ObjectRef, RefArray, RemoteFunction, TaskOptions } from "./api.js";
import type { Bundle } from "./deploy.js";
import type { Puts } from "./puts.js";
import { recorderOf } from "./recording.js";
import type { Session } from "./session.js";
import { type Callee, calleeOf, Submitter } from "./submit.js";

/** Changes positional arguments before they are sent. */
type Prepare = (args: readonly unknown[]) => readonly unknown[];

export class RemoteCallable {
  readonly ref: FunctionRef;
  readonly options: TaskOptions;
  readonly #session: Session;
  readonly #puts: Puts;
  readonly #submitter: Submitter;
  readonly #prepare: Prepare;

  constructor(session: Session, puts: Puts, ref: FunctionRef, options: TaskOptions, prepare: Prepare = (args) => args) {
    this.ref = ref;
    this.options = options;
    this.#session = session;
    this.#puts = puts;
    this.#submitter = new Submitter(session, puts, calleeOf(ref, options));
    this.#prepare = prepare;
  }

  get callee(): Callee {
    return this.#submitter.callee;
  }

  submit(...args: unknown[]): ObjectRef<unknown> {
    const recorder = recorderOf(this.#session);
    if (recorder) return recorder.submit(this, args);
    return this.#submitter.submit(this.#prepare(args));
  }

  map(items: Iterable<unknown>, options: { shared?: readonly unknown[] } = {}): RefArray<unknown> {
    const recorder = recorderOf(this.#session);
    if (recorder) return recorder.map(this, items, options.shared ?? []);
    return this.#submitter.map(items, this.shared(options.shared ?? []));
  }

  /** All arguments as they are sent. */
  arguments(given: readonly unknown[]): readonly unknown[] {
    return this.#prepare(given);
  }

  /** The arguments after the first as they are sent. */
  shared(given: readonly unknown[]): readonly unknown[] {
    return this.#prepare([undefined, ...given]).slice(1);
  }

  with(options: TaskOptions): RemoteCallable {
    return this.#changed({ ...this.options, ...options }, this.#prepare);
  }

  /** The same function, whose arguments are changed before they are sent. */
  preparing(prepare: Prepare): RemoteCallable {
    return this.#changed(this.options, prepare);
  }

  #changed(options: TaskOptions, prepare: Prepare): RemoteCallable {
    return new RemoteCallable(this.#session, this.#puts, this.ref, options, prepare);
  }
}

/**
 * The types are the module's own; at run time every named export is a callable, and calling one that is no function
 * fails as a task.
 */
export function libraryOf<M>(session: Session, puts: Puts, bundle: Bundle, options: TaskOptions): Library<M> {
  const library: Record<string, unknown> = { $bundle: bundle.id };
  for (const name of bundle.exports)
    library[name] = new RemoteCallable(session, puts, { bundle: bundle.id, export: name }, options);
  return Object.freeze(library) as Library<M>;
}

export const asRemote = <F>(callable: RemoteCallable): RemoteFunction<F> => callable as unknown as RemoteFunction<F>;
