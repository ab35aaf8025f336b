/**
 * `cluster.kernels`: a member per kernel, features by their short name, others by their path, typed by the
 * declarations.
 */
import { cataloguedKernels, newestCatalogued } from "../../kernels/catalog/catalog.js";
import type { KernelDescription } from "../../kernels/catalog/description.js";
import { isFeature, noSuchKernel, shortName } from "../../kernels/catalog/names.js";
import { VolleyError } from "../../proto/errors.js";
import type { Kernels } from "./api.js";
import type { RemoteCallable } from "./remote-function.js";

type Make = (kernel: KernelDescription) => RemoteCallable;
type Members = Record<string, unknown>;

/** What the language and printers ask of any object: its absence is no mistake of the caller's. */
const askedOfAnything = new Set(["then", "toJSON", "constructor", "$$typeof", "asymmetricMatch", "nodeType"]);

const guarded = (members: Members, path: string): Members =>
  new Proxy(Object.freeze(members), {
    get: (target, key, receiver) => {
      if (typeof key === "symbol" || Object.hasOwn(target, key) || askedOfAnything.has(key))
        return Reflect.get(target, key, receiver);
      throw noSuchKernel(`${path}${key}`, cataloguedKernels());
    },
  });

/** Functions are made as they are asked for, once each. */
function lazily(members: object, name: string, make: () => RemoteCallable, enumerable = true): void {
  let made: RemoteCallable | undefined;
  Object.defineProperty(members, name, {
    enumerable,
    get: () => {
      made ??= make();
      return made;
    },
  });
}

/** A kernel that carries state from partition to partition has its form that does so as a member. */
function functionOf(kernel: KernelDescription, make: Make): RemoteCallable {
  const made = make(kernel);
  if (kernel.args.some(({ name }) => name === "carry"))
    lazily(made, "withCarry", () => made.preparing((args) => withCarry(kernel, args)));
  return made;
}

function withCarry(kernel: KernelDescription, args: readonly unknown[]): readonly unknown[] {
  const at = kernel.args.findIndex(({ name }) => name === "params");
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
  const groups = new Map<string, Members>();
  const all = newestCatalogued();
  for (const kernel of all.filter(isFeature)) lazily(root, shortName(kernel), () => functionOf(kernel, make));
  for (const kernel of all.filter((one) => !isFeature(one)))
    for (const name of [kernel.name, ...(kernel.formerly ?? [])]) {
      const [group = "", member = ""] = name.split(".");
      const members = groups.get(group) ?? {};
      groups.set(group, members);
      lazily(members, member, () => functionOf(kernel, make), name === kernel.name);
    }
  for (const [group, members] of groups) root[group] = guarded(members, `${group}.`);
  return guarded(root, "") as unknown as Kernels;
}
