/**
 * In the thread: whether user code has left the globals alone that later tasks, and this worker's own libraries, stand
 * on.
 */
const names = [
  "Object",
  "Array",
  "Map",
  "Set",
  "Promise",
  "Symbol",
  "Error",
  "JSON",
  "Math",
  "Date",
  "Atomics",
  "ArrayBuffer",
  "SharedArrayBuffer",
  "Uint8Array",
  "Int32Array",
  "Float64Array",
  "DataView",
  "BigInt",
  "Buffer",
  "process",
  "console",
  "performance",
  "queueMicrotask",
  "setTimeout",
  "setImmediate",
  "TextEncoder",
  "TextDecoder",
  "WebAssembly",
  "structuredClone",
] as const;

const globals = globalThis as unknown as Record<string, unknown>;
const original = names.map((name) => globals[name]);
const methods = [
  Array.prototype.push,
  Array.prototype.map,
  Map.prototype.get,
  Map.prototype.set,
  Promise.prototype.then,
  Uint8Array.prototype.set,
  Object.entries,
  JSON.stringify,
];
const current = (): unknown[] => [
  Array.prototype.push,
  Array.prototype.map,
  Map.prototype.get,
  Map.prototype.set,
  Promise.prototype.then,
  Uint8Array.prototype.set,
  Object.entries,
  JSON.stringify,
];

export function globalsIntact(): boolean {
  try {
    for (let i = 0; i < names.length; i++) if (globals[names[i] as string] !== original[i]) return false;
    const found = current();
    for (let i = 0; i < methods.length; i++) if (found[i] !== methods[i]) return false;
    return true;
  } catch {
    return false;
  }
}
