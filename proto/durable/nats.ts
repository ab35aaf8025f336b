/** The durable store of a cluster on JetStream. Creates stream and buckets where they are missing. */
import { streams } from "../subjects.js";
import type { NatsTransport } from "../transport/nats.js";
import type { Durable } from "./durable.js";
import { openBlobs } from "./nats-blobs.js";
import { openJournal } from "./nats-journal.js";
import { persist } from "./retry.js";

export interface OpenDurableOptions {
  /** Of stream and buckets, where they are created. Default 1. */
  readonly replicas?: number;
}

/** Fails with DISCONNECTED when JetStream cannot be reached within 60 s. */
export async function openDurable(transport: NatsTransport, options: OpenDurableOptions = {}): Promise<Durable> {
  const replicas = options.replicas ?? 1;
  return persist(
    { transport, what: "opening the durable store (is JetStream enabled on this NATS server?)", cutOnDisconnect: true, attemptTimeoutMs: 10_000 },
    async () => {
      const [journal, bundles, objects, snapshots, results, scratch] = await Promise.all([
        openJournal(transport, replicas),
        openBlobs(transport, streams.bundles, replicas),
        openBlobs(transport, streams.objects, replicas),
        openBlobs(transport, streams.snapshots, replicas),
        openBlobs(transport, streams.results, replicas),
        openBlobs(transport, streams.scratch, 1),
      ]);
      return { journal, bundles, objects, snapshots, results, scratch };
    },
  );
}
