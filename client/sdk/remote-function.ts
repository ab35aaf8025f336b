/** The functions of a deployed module, and built-in kernels, as callables. */
import type { FunctionRef } from "../../proto/messages.js";
import type { Library, ObjectRef, RefArray, RemoteFunction, TaskOptions } from "./api.js";
import type { Bundle } from "./deploy.js";
import type { Objects } from "./objects.js";
import type { Session } from "./session.js";
import { type Callee, calleeOf, Submitter } from "./submit.js";

export class RemoteCallable {
  readonly ref: FunctionRef;
  readonly options: TaskOptions;
  readonly #session: Session;
  readonly #objects: Objects;
  readonly #submitter: Submitter;

  constructor(session: Session, objects: Objects, ref: FunctionRef, options: TaskOptions) {
    this.ref = ref;
    this.options = options;
    this.#session = session;
    this.#objects = objects;
    this.#submitter = new Submitter(session, objects, calleeOf(ref, options));
  }

  get callee(): Callee {
    return this.#submitter.callee;
  }

  submit(...args: unknown[]): ObjectRef<unknown> {
    return this.#submitter.submit(args);
  }

  map(items: Iterable<unknown>, options: { shared?: readonly unknown[] } = {}): RefArray<unknown> {
    return this.#submitter.map(items, options.shared ?? []);
  }

  with(options: TaskOptions): RemoteCallable {
    return new RemoteCallable(this.#session, this.#objects, this.ref, { ...this.options, ...options });
  }
}

/** The types are the module's own; at run time every named export is a callable, and calling one that is no function fails as a task. */
export function libraryOf<M>(session: Session, objects: Objects, bundle: Bundle, options: TaskOptions): Library<M> {
  const library: Record<string, unknown> = { $bundle: bundle.id };
  for (const name of bundle.exports) library[name] = new RemoteCallable(session, objects, { bundle: bundle.id, export: name }, options);
  return Object.freeze(library) as Library<M>;
}

export const asRemote = <F>(callable: RemoteCallable): RemoteFunction<F> => callable as unknown as RemoteFunction<F>;
