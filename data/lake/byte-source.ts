/** Where the bytes of a Parquet file are: a local file, of which only the ranges asked for are read, or memory. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { VolleyError } from "../../proto/errors.js";

export type SourceSpec = { readonly path: string } | { readonly bytes: Uint8Array };

export interface ByteSource extends Disposable {
  readonly size: number;
  /** Bytes read so far. */
  readonly bytesRead: number;
  /** A copy of [from, to). Throws if the file does not have it. */
  read(from: number, to: number): Uint8Array<ArrayBuffer>;
}

/** Throws INVALID_ARGUMENT if there is no such file, or it is none that can be read. */
export function openSource(spec: SourceSpec, label: string): ByteSource {
  if ("bytes" in spec) {
    const { bytes } = spec;
    return counting(
      bytes.byteLength,
      (from, to) => Uint8Array.from(bytes.subarray(from, to)),
      () => {},
    );
  }
  let file: number;
  try {
    file = openSync(spec.path, "r");
  } catch (error) {
    throw new VolleyError("INVALID_ARGUMENT", `${label} cannot be opened: ${(error as Error).message}`, {
      details: { file: label },
    });
  }
  const stat = fstatSync(file);
  if (!stat.isFile()) {
    closeSync(file);
    throw new VolleyError("INVALID_ARGUMENT", `${label} is not a regular file`, { details: { file: label } });
  }
  const read = (from: number, to: number): Uint8Array<ArrayBuffer> => {
    const out = new Uint8Array(to - from);
    for (let at = 0; at < out.byteLength; ) {
      const got = readSync(file, out, at, out.byteLength - at, from + at);
      if (got === 0) throw new Error(`ends at byte ${from + at}`);
      at += got;
    }
    return out;
  };
  return counting(stat.size, read, () => closeSync(file));
}

function counting(
  size: number,
  read: (from: number, to: number) => Uint8Array<ArrayBuffer>,
  close: () => void,
): ByteSource {
  let bytesRead = 0;
  return {
    size,
    get bytesRead() {
      return bytesRead;
    },
    read: (from, to) => {
      checkRange(from, to, size);
      bytesRead += to - from;
      return read(from, to);
    },
    [Symbol.dispose]: close,
  };
}

function checkRange(from: number, to: number, size: number): void {
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 0 || to < from || to > size)
    throw new Error(`says that bytes ${from} to ${to} are its own, but it has ${size}`);
}
