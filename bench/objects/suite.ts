/**
 * Values to and from the cluster: how fast, beside two bare NATS connections that carry as many bytes in as large
 * chunks (a nats-server of their own, because the cluster's lets clients speak to nobody else), and how long the
 * caller's event loop stands still.
 */
import { type Cluster, connect } from "volley";
import { startLocalCluster } from "../../cluster/local/local-cluster.js";
import { startLocalNats } from "../../cluster/local/nats-server.js";
import { type Measure, measure, type Suite, type SuiteOptions } from "../report.js";
import { type BareNats, startBareNats } from "./bare-nats.js";
import { type Kind, kinds, type Passage, putAndGet } from "./measures.js";

const peer = "two bare NATS connections";

interface Repeats {
  readonly ours: Passage[];
  readonly bare: { put: number; get: number }[];
}

function measuresOf(kind: Kind, { ours, bare }: Repeats): Measure[] {
  const what = `${kind.bytes / 1024 / 1024} MiB of ${kind.name}`;
  const beside = (way: "put" | "get"): Measure =>
    measure(
      `${way} of ${what}, beside bare NATS`,
      "GB/s",
      ours.map((passage) => passage[way]),
      { better: "higher", peer, peerRepeats: bare.map((rates) => rates[way]) },
    );
  const blocked = (way: "put" | "get", figure: "putBlockedMs" | "getBlockedMs"): Measure =>
    measure(
      `event loop blocked, ${way} of ${what}`,
      "ms",
      ours.map((passage) => passage[figure]),
      { better: "lower", note: "the longest of each; what other processes take of the machine counts" },
    );
  return [beside("put"), beside("get"), blocked("put", "putBlockedMs"), blocked("get", "getBlockedMs")];
}

/** Repeats of puts and gets, with the bare ones between them. */
export class ObjectRounds {
  readonly #bare: BareNats;
  readonly #stop: () => Promise<void>;
  readonly #repeats = new Map<Kind, Repeats>();

  constructor(bare: BareNats, stop: () => Promise<void>) {
    this.#bare = bare;
    this.#stop = stop;
  }

  static async start(): Promise<ObjectRounds> {
    const nats = await startLocalNats();
    const bare = await startBareNats(nats.url);
    return new ObjectRounds(bare, async () => {
      bare.stop();
      await nats.stop();
    });
  }

  async one(cluster: Cluster, kind: Kind): Promise<Passage> {
    const passage = await putAndGet(cluster, kind);
    const bare = await this.#bare.putAndGet(kind.bytes);
    const repeats = this.#repeats.get(kind) ?? { ours: [], bare: [] };
    this.#repeats.set(kind, repeats);
    repeats.ours.push(passage);
    repeats.bare.push(bare);
    return passage;
  }

  measures(): Measure[] {
    return [...this.#repeats].flatMap(([kind, repeats]) => measuresOf(kind, repeats));
  }

  stop(): Promise<void> {
    return this.#stop();
  }
}

export const objectsSuite: Suite = {
  doc: "put and get of large values of several kinds (peer: bare NATS), and how long they block the event loop",
  async run({ repeats, log }: SuiteOptions) {
    const local = await startLocalCluster({ workers: 2, slots: 1, gateway: false });
    const rounds = await ObjectRounds.start();
    try {
      await using cluster = await connect({ url: local.url });
      for (let repeat = 1; repeat <= repeats; repeat++) {
        log(`repeat ${repeat} of ${repeats}`);
        for (const kind of kinds) await rounds.one(cluster, kind);
      }
      return rounds.measures();
    } finally {
      await rounds.stop();
      await local.stop();
    }
  },
};
