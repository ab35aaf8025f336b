/** `cluster.kernels`: a member per kernel, features by their short name, others by their path, typed by the declarations. */
import { callables, type Kernel, newestKernels, noSuchKernel, shortName } from "volley/kernels";
import type { Kernels, RemoteFunction } from "./api.js";

type Make = (kernel: Kernel) => RemoteFunction<never>;
type Members = Record<string, unknown>;

/** What the language and printers ask of any object: its absence is no mistake of the caller's. */
const askedOfAnything = new Set(["then", "toJSON", "constructor", "$$typeof", "asymmetricMatch", "nodeType"]);

const guarded = (members: Members, path: string): Members =>
  new Proxy(Object.freeze(members), {
    get: (target, key, receiver) => {
      if (typeof key === "symbol" || Object.hasOwn(target, key) || askedOfAnything.has(key)) return Reflect.get(target, key, receiver);
      throw noSuchKernel(`${path}${key}`);
    },
  });

/** Functions are made as they are asked for, once each. */
function lazily(members: Members, name: string, make: () => RemoteFunction<never>): void {
  let made: RemoteFunction<never> | undefined;
  Object.defineProperty(members, name, {
    enumerable: true,
    get: () => {
      made ??= make();
      return made;
    },
  });
}

export function kernelsBy(make: Make): Kernels {
  const root: Members = {};
  for (const kernel of newestKernels().filter(({ name }) => name.startsWith("feature."))) lazily(root, shortName(kernel), () => make(kernel));
  for (const [group, calls] of Object.entries(callables)) {
    const members: Members = {};
    for (const [name, { kernel }] of Object.entries(calls)) lazily(members, name, () => make(kernel));
    root[group] = guarded(members, `${group}.`);
  }
  return guarded(root, "") as unknown as Kernels;
}
