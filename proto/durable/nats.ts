/** The durable store of a cluster on JetStream. Creates stream and buckets where they are missing. */
import { streams } from "../subjects.js";
import type { NatsTransport } from "../transport/nats.js";
import type { BlobWriter, ClientStores, Durable } from "./durable.js";
import { openBlobs, openOwnBlobs } from "./nats-blobs.js";
import { openJournal } from "./nats-journal.js";
import { persist } from "./retry.js";

export interface OpenDurableOptions {
  /** Of stream and buckets, where they are created. Default 1. */
  readonly replicas?: number;
}

const what = "opening the durable store (is JetStream enabled on this NATS server?)";

/**
 * For the scheduler, which owns stream and buckets. Fails with DISCONNECTED when JetStream cannot be reached within 60
 * s.
 */
export async function openDurable(transport: NatsTransport, options: OpenDurableOptions = {}): Promise<Durable> {
  const replicas = options.replicas ?? 1;
  return persist({ transport, what, cutOnDisconnect: true, attemptTimeoutMs: 10_000 }, async () => {
    const [journal, bundles, objects, snapshots, results, scratch] = await Promise.all([
      openJournal(transport, replicas),
      openOwnBlobs(transport, streams.bundles, replicas),
      openOwnBlobs(transport, streams.objects, replicas),
      openOwnBlobs(transport, streams.snapshots, replicas),
      openOwnBlobs(transport, streams.results, replicas),
      openOwnBlobs(transport, streams.scratch, 1),
    ]);
    return { journal, bundles, objects, snapshots, results, scratch };
  });
}

/**
 * For clients and workers (who only read bundles). They are opened at their first use, because the scheduler makes them
 * and may not have run yet; nothing is deleted by these. Fails with DISCONNECTED when there are none within 60 s.
 */
export function openStores(transport: NatsTransport): ClientStores {
  const store = (bucket: string): BlobWriter => {
    const name = `${what}: ${bucket}, which the scheduler makes`;
    return opened(() =>
      persist({ transport, what: name, cutOnDisconnect: true, attemptTimeoutMs: 10_000 }, () =>
        openBlobs(transport, bucket),
      ),
    );
  };
  return { bundles: store(streams.bundles), objects: store(streams.objects) };
}

/** Opens the store when it is used, again if that failed. */
function opened(open: () => Promise<BlobWriter>): BlobWriter {
  let opening: Promise<BlobWriter> | undefined;
  const store = (): Promise<BlobWriter> => {
    opening ??= open().catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };
  return {
    put: async (name, data) => (await store()).put(name, data),
    read: async (name) => (await store()).read(name),
    get: async (name) => (await store()).get(name),
    has: async (name) => (await store()).has(name),
  };
}
