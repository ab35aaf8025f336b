/**
 * `cluster.kernels`: a member per kernel, features by their short name, others by their path, typed by the
 * declarations.
 */
import { callables, type Kernel, newestKernels, noSuchKernel, shortName } from "volley/kernels";
import { VolleyError } from "../../proto/errors.js";
import type { Kernels } from "./api.js";
import type { RemoteCallable } from "./remote-function.js";

type Make = (kernel: Kernel) => RemoteCallable;
type Members = Record<string, unknown>;

/** What the language and printers ask of any object: its absence is no mistake of the caller's. */
const askedOfAnything = new Set(["then", "toJSON", "constructor", "$$typeof", "asymmetricMatch", "nodeType"]);

const guarded = (members: Members, path: string): Members =>
  new Proxy(Object.freeze(members), {
    get: (target, key, receiver) => {
      if (typeof key === "symbol" || Object.hasOwn(target, key) || askedOfAnything.has(key))
        return Reflect.get(target, key, receiver);
      throw noSuchKernel(`${path}${key}`);
    },
  });

/** Functions are made as they are asked for, once each. */
function lazily(members: object, name: string, make: () => RemoteCallable): void {
  let made: RemoteCallable | undefined;
  Object.defineProperty(members, name, {
    enumerable: true,
    get: () => {
      made ??= make();
      return made;
    },
  });
}

/** A kernel that carries state from partition to partition has its form that does so as a member. */
function functionOf(kernel: Kernel, make: Make): RemoteCallable {
  const made = make(kernel);
  if (kernel.args.includes("carry")) lazily(made, "withCarry", () => made.preparing((args) => withCarry(kernel, args)));
  return made;
}

function withCarry(kernel: Kernel, args: readonly unknown[]): readonly unknown[] {
  const at = kernel.args.indexOf("params");
  const params = args[at] ?? {};
  if (Object.getPrototypeOf(params) !== Object.prototype)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `${kernel.name}.withCarry: params is given as an object of parameters here, not as a ref or another value`,
    );
  const changed = [...args];
  changed[at] = { ...params, withCarry: true };
  return changed;
}

export function kernelsBy(make: Make): Kernels {
  const root: Members = {};
  for (const kernel of newestKernels().filter(({ name }) => name.startsWith("feature.")))
    lazily(root, shortName(kernel), () => functionOf(kernel, make));
  for (const [group, calls] of Object.entries(callables)) {
    const members: Members = {};
    for (const [name, { kernel }] of Object.entries(calls)) lazily(members, name, () => functionOf(kernel, make));
    root[group] = guarded(members, `${group}.`);
  }
  return guarded(root, "") as unknown as Kernels;
}
