import type { BlobStore, Durable } from "../../proto/durable/durable.js";
const blobs = (): BlobStore => { const m = new Map<string, Uint8Array>(); return { async put(n, d) { m.set(n, d); }, async get(n) { return m.get(n); }, async has(n) { return m.has(n); }, async delete(n) { m.delete(n); } }; };
export const modelDurable = (): Durable => ({ journal: undefined as never, bundles: blobs(), objects: blobs(), snapshots: blobs() });
