/** Codes of our msgpack extensions, and of what msgpackr reads itself. */
export const extension = {
  arrow: 0x41,
  map: 0x43,
  date: 0x44,
  text: 0x45,
  entries: 0x46,
  error: 0x47,
  bigint: 0x48,
  regExp: 0x49,
  /** msgpackr's own. */
  nothing: 0,
  set: 0x73,
  typed: 0x74,
} as const;

/** msgpackr's numbers of typed arrays. */
export const typedCodes = {
  Int8Array: 0,
  Uint8Array: 1,
  Uint8ClampedArray: 2,
  Int16Array: 3,
  Uint16Array: 4,
  Int32Array: 5,
  Uint32Array: 6,
  Float32Array: 7,
  Float64Array: 8,
  BigInt64Array: 9,
  BigUint64Array: 10,
  ArrayBuffer: 16,
  DataView: 17,
} as const;
