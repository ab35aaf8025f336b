/**
 * The journal on a JetStream stream: one subject, file storage, appends fenced by the expected last sequence.
 * Every append carries an id of its own in a header, so that one whose answer was lost is found again instead of being
 * written twice.
 */
import { randomBytes } from "node:crypto";
import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StoredMsg,
} from "@nats-io/jetstream";
import { headers } from "@nats-io/transport-node";
import { VolleyError } from "../errors.js";
import { streams } from "../subjects.js";
import { checkPayload } from "../transport/faults.js";
import type { NatsTransport } from "../transport/nats.js";
import type { Journal } from "./durable.js";
import { persist, type RetryOptions } from "./retry.js";

const appendHeader = "Volley-Append";
/** What headers take of a message's size. */
const headerBytesMax = 512;
const attemptTimeoutMs = 5_000;
/** Of one batch of entries. */
const batchEntries = 512;
const batchBytes = 4 * 1024 * 1024;
/** Reads in flight with servers that have no batches; entries may be as large as a message. */
const readAhead = 32;
/** The level of JetStream's API that has batches of direct reads (nats-server 2.11). */
const batchesApiLevel = 1;

export async function openJournal(transport: NatsTransport, replicas: number): Promise<Journal> {
  const { natsConnection } = transport;
  const manager = await jetstreamManager(natsConnection, { timeout: attemptTimeoutMs });
  await ensureStream(manager, replicas);
  return new NatsJournal(transport, manager, jetstream(natsConnection, { timeout: attemptTimeoutMs }));
}

async function ensureStream(manager: JetStreamManager, replicas: number): Promise<void> {
  try {
    await manager.streams.info(streams.journal);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamNotFound) throw error;
    await manager.streams.add({
      name: streams.journal,
      subjects: [streams.journalSubject],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      allow_direct: true,
      num_replicas: replicas,
    });
  }
}

class NatsJournal implements Journal {
  readonly #transport: NatsTransport;
  readonly #manager: JetStreamManager;
  readonly #client: JetStreamClient;
  readonly #writer = randomBytes(8).toString("hex");
  readonly #batches: boolean;
  #appends = 0;

  constructor(transport: NatsTransport, manager: JetStreamManager, client: JetStreamClient) {
    this.#transport = transport;
    this.#manager = manager;
    this.#client = client;
    this.#batches = (transport.natsConnection.info?.api_lvl ?? 0) >= batchesApiLevel;
  }

  async append(data: Uint8Array, expectedLastSeq: number): Promise<number> {
    checkPayload(streams.journalSubject, data.byteLength + headerBytesMax, this.#transport.payloadBytesMax);
    const id = `${this.#writer}-${this.#appends++}`;
    return persist(this.#retry("append to the journal"), async () => {
      const own = headers();
      own.set(appendHeader, id);
      try {
        const ack = await this.#client.publish(streams.journalSubject, data, {
          msgID: id,
          headers: own,
          expect: { streamName: streams.journal, lastSequence: expectedLastSeq },
        });
        return ack.seq;
      } catch (error) {
        if (!isWrongSequence(error)) throw error;
        // Either another writer was first, or an earlier attempt of this very append went through and its answer was
        // lost.
        const there = await this.#message(expectedLastSeq + 1);
        if (there?.header.get(appendHeader) === id) return there.seq;
        throw new VolleyError(
          "FENCED",
          `another scheduler has written to the journal after entry ${expectedLastSeq}; this one must stop`,
          { cause: error },
        );
      }
    });
  }

  async *read(afterSeq: number): AsyncIterable<{ seq: number; data: Uint8Array }> {
    const state = await this.#state();
    let next = Math.max(afterSeq + 1, state.first_seq);
    while (next <= state.last_seq) {
      for (const entry of await this.#entries(next, state.last_seq)) {
        if (entry.seq !== next)
          throw new VolleyError("CORRUPT", `journal entry ${next} is missing from stream ${streams.journal}`);
        next++;
        yield entry;
      }
    }
  }

  async lastSeq(): Promise<number> {
    return (await this.#state()).last_seq;
  }

  async truncate(uptoSeq: number): Promise<void> {
    if (uptoSeq <= 0) return;
    await persist(this.#retry("truncation of the journal"), () =>
      this.#manager.streams.purge(streams.journal, { seq: uptoSeq + 1 }),
    );
  }

  async #state(): Promise<{ first_seq: number; last_seq: number }> {
    return (await persist(this.#retry("look at the journal"), () => this.#manager.streams.info(streams.journal))).state;
  }

  /** Some entries from `seq` on, at least one, none after `last`. */
  async #entries(seq: number, last: number): Promise<{ seq: number; data: Uint8Array }[]> {
    const count = Math.min(batchEntries, last - seq + 1);
    const messages = await persist(this.#retry(`read of the journal from entry ${seq}`), async () => {
      const found = this.#batches
        ? await this.#batch(seq, count)
        : await Promise.all(Array.from({ length: Math.min(count, readAhead) }, (_, i) => this.#message(seq + i)));
      return found.filter((message) => message !== null);
    });
    // A batch has a bound in bytes, and an entry may be above it.
    const entries =
      messages.length > 0
        ? messages
        : [await persist(this.#retry(`read of journal entry ${seq}`), () => this.#message(seq))];
    return entries.map((message) => {
      if (!message) throw new VolleyError("CORRUPT", `journal entry ${seq} is missing from stream ${streams.journal}`);
      return { seq: message.seq, data: new Uint8Array(message.data) };
    });
  }

  async #batch(seq: number, count: number): Promise<StoredMsg[]> {
    const messages: StoredMsg[] = [];
    for await (const message of await this.#manager.direct.getBatch(streams.journal, {
      seq,
      batch: count,
      max_bytes: batchBytes,
    }))
      messages.push(message);
    return messages;
  }

  #message(seq: number): Promise<StoredMsg | null> {
    return this.#manager.direct.getMessage(streams.journal, { seq });
  }

  #retry(what: string): RetryOptions {
    return { transport: this.#transport, what, cutOnDisconnect: true, attemptTimeoutMs };
  }
}

const isWrongSequence = (error: unknown): boolean =>
  error instanceof JetStreamApiError &&
  (error.code === JetStreamApiCodes.StreamWrongLastSequence ||
    error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown);
