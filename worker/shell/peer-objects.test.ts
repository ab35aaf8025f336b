import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { digestOf } from "../../proto/digest.js";
import { fetchObject } from "../../proto/frames/data-plane.js";
import { FramePeer } from "../../proto/frames/peer.js";
import type { ObjectId } from "../../proto/ids.js";
import { patienceMs } from "../../proto/testing/patience.js";
import { MemoryNetwork } from "../../proto/transport/testing/memory.js";
import type { WorkerEvent } from "../core/events.js";
import { ObjectStore } from "../store/store.js";
import { PeerObjects } from "./peer-objects.js";

let folder: string;
let closing: (() => unknown)[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "volley-peer-objects-"));
  closing = [];
});
afterEach(async () => {
  for (const close of closing) await close();
  rmSync(folder, { recursive: true, force: true });
});

const id = "p0123456789abcdef0123456789abcdef-3" as ObjectId;
const data = Uint8Array.from({ length: 50_000 }, (_, i) => i & 255);
const digest = digestOf(3, data);

/** One worker's objects, and a peer that fetches from it. */
function serve(): { store: ObjectStore; told: WorkerEvent[]; fetch(): Promise<Uint8Array> } {
  const network = new MemoryNetwork();
  const store = new ObjectStore({ budgetBytes: 1 << 20, spillParent: folder });
  const told: WorkerEvent[] = [];
  const [holder, reader] = ["w1", "w2"].map((peer) => {
    const transport = network.connect(peer);
    return { transport, frames: new FramePeer({ transport, peer }) };
  });
  if (!holder || !reader) throw new Error("no peers");
  new PeerObjects(
    store,
    (event) => told.push(event),
    () => false,
  ).serve({ ...holder, onError: () => undefined });
  closing.push(
    () => holder.frames.close(),
    () => reader.frames.close(),
    () => store.close(),
  );
  const fetch = async (): Promise<Uint8Array> =>
    (
      await fetchObject({
        ...reader,
        from: "w1",
        id,
        digest,
        allocate: (meta) => new Uint8Array(meta.bytes),
        timeoutMs: patienceMs,
      })
    ).data;
  return { store, told, fetch };
}

test("an object is given to whoever asks for its content", async () => {
  const { store, told, fetch } = serve();
  await store.put(id, data, { kind: 3, digest });
  expect(Buffer.compare(await fetch(), data)).toBe(0);
  expect(told).toEqual([]);
});

test("a holder of another content under the id does not give that, and tells the scheduler what it has", async () => {
  const { store, told, fetch } = serve();
  const other = data.map((byte) => 255 - byte);
  await store.put(id, other, { kind: 3, digest: digestOf(3, other) });
  await expect(fetch()).rejects.toMatchObject({ code: "OBJECT_NOT_FOUND" });
  expect(told).toEqual([
    { e: "objects", added: [{ id, bytes: other.byteLength, kind: 3, digest: digestOf(3, other) }], removed: [] },
  ]);
});

test("a holder whose bytes are spoilt finds out when a reader doubts them: they are nobody's input, and the scheduler hears that they are lost", async () => {
  const { store, told, fetch } = serve();
  await store.put(id, data, { kind: 3, digest });
  const pin = await store.pin(id);
  pin.view[17] = 0xff;
  pin.release();
  await expect(fetch()).rejects.toMatchObject({ code: "OBJECT_NOT_FOUND" });
  expect(told).toEqual([{ e: "objects", added: [], removed: [id] }]);
  expect(store.has(id)).toBe(false);
});
