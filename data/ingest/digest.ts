/** The digest that a sender announced. */
import { createHash } from "node:crypto";
import { invalidData } from "./ingested.js";

/** Throws INVALID_DATA if the bytes do not have the hex SHA-256 `expected`. */
export function checkDigest(bytes: Uint8Array, expected: string | undefined): void {
  if (expected === undefined) return;
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found !== expected.toLowerCase())
    throw invalidData(`the ${bytes.byteLength} bytes have the SHA-256 ${found}, not ${expected} as announced`);
}
