/** What class a value is of, asked of prototypes: it may be of another realm, and a name may be anybody's. */

/** Of another realm, whose Object.prototype is not ours. */
export const isForeignPlain = (proto: object): boolean =>
  Object.getPrototypeOf(proto) === null && Object.hasOwn(proto, "hasOwnProperty");

export const className = (value: object): string => {
  const name: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof name === "string" && name !== "" ? name : "a class";
};

/** The prototype of a class of the language, of this realm or another. */
export function isNative(proto: unknown, name: string): boolean {
  if (typeof proto !== "object" || proto === null || !Object.hasOwn(proto, "constructor")) return false;
  const made: unknown = proto.constructor;
  return (
    typeof made === "function" &&
    made.name === name &&
    made.prototype === proto &&
    /\[native code\]\s*\}$/.test(Function.prototype.toString.call(made))
  );
}
