/**
 * Blobs on a JetStream stream each for bundles, objects and snapshots. A blob of one message is one append and one
 * direct read (the client library's object store takes four requests and a consumer for it); a larger one has its bytes
 * in parts.
 *
 *   volley.blob.<bucket>.entry.<name>             the entry: size, digest, parts, and the bytes themselves if there are
 * no parts
 *   volley.blob.<bucket>.part.<name>.<put>.<n>    the parts; <put> is minted by every put, so that two puts never mix
 *
 * B1 The entry is written after every part is on disk, and only if there is none: a blob is seen whole or not at all,
 * and the first put wins. B2 What a writer that died has left (parts without an entry) goes with the next put or
 * deletion of that name by one who may delete.
 */
import { createHash, randomBytes } from "node:crypto";
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
import { headers, type MsgHdrs } from "@nats-io/transport-node";
import { sha256Hex } from "../digest.js";
import { isVolleyError, VolleyError } from "../errors.js";
import type { NatsTransport } from "../transport/nats.js";
import {
  type BlobContent,
  type BlobStore,
  type BlobWriter,
  checkBlob,
  conflict,
  inOnePiece,
  joined,
} from "./durable.js";
import { persist } from "./retry.js";

const requestTimeoutMs = 5_000;
/** What subject and headers take of a message. */
const envelopeBytesMax = 4 * 1024;
/** Larger messages make the server slower, and everything behind them wait. */
const partBytesMax = 1024 * 1024;
const partsInFlight = 4;

const bytesHeader = "Volley-Bytes";
const digestHeader = "Volley-Sha256";
const putHeader = "Volley-Put";
const partsHeader = "Volley-Parts";
const partBytesHeader = "Volley-Part-Bytes";

interface Entry {
  readonly bytes: number;
  readonly digest: string;
  readonly put: string;
  readonly parts: number;
  /** Of every part but the last. */
  readonly partBytes: number;
  /** The blob itself, if there are no parts. */
  readonly data: Uint8Array;
}

/** A bucket that somebody else made: one that is missing is an error of JetStream's. */
export async function openBlobs(transport: NatsTransport, bucket: string): Promise<BlobWriter> {
  const manager = await jetstreamManager(transport.natsConnection, { timeout: requestTimeoutMs });
  const { num_replicas } = (await manager.streams.info(bucket)).config;
  return openBucket(transport, bucket, manager, { replicated: num_replicas > 1, sweeps: false });
}

/** For its owner: makes the bucket if it is missing. */
export async function openOwnBlobs(transport: NatsTransport, bucket: string, replicas: number): Promise<BlobStore> {
  const manager = await jetstreamManager(transport.natsConnection, { timeout: requestTimeoutMs });
  const actual = await ensureStream(manager, bucket, replicas);
  return openBucket(transport, bucket, manager, { replicated: actual > 1, sweeps: true });
}

const openBucket = (
  transport: NatsTransport,
  bucket: string,
  manager: JetStreamManager,
  facts: { replicated: boolean; sweeps: boolean },
): NatsBlobs => {
  const client = jetstream(transport.natsConnection, { timeout: requestTimeoutMs });
  return new NatsBlobs(transport, bucket, manager, client, facts);
};

/** Gives the stream's number of replicas. */
async function ensureStream(manager: JetStreamManager, bucket: string, replicas: number): Promise<number> {
  try {
    return (await manager.streams.info(bucket)).config.num_replicas;
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamNotFound) throw error;
    const made = await manager.streams.add({
      name: bucket,
      subjects: [`volley.blob.${bucket}.>`],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      allow_direct: true,
      num_replicas: replicas,
    });
    return made.config.num_replicas;
  }
}

class NatsBlobs implements BlobStore {
  readonly #transport: NatsTransport;
  readonly #bucket: string;
  readonly #manager: JetStreamManager;
  readonly #client: JetStreamClient;
  /** Direct reads may be answered by a replica that is behind. */
  readonly #replicated: boolean;
  readonly #sweeps: boolean;

  constructor(
    transport: NatsTransport,
    bucket: string,
    manager: JetStreamManager,
    client: JetStreamClient,
    facts: { replicated: boolean; sweeps: boolean },
  ) {
    this.#transport = transport;
    this.#bucket = bucket;
    this.#manager = manager;
    this.#client = client;
    this.#replicated = facts.replicated;
    this.#sweeps = facts.sweeps;
  }

  async put(name: string, data: Uint8Array, sha256?: string): Promise<void> {
    checkBlob(this.#bucket, name, data.byteLength);
    const put = randomBytes(8).toString("hex");
    const partBytes = Math.min(partBytesMax, this.#transport.payloadBytesMax - envelopeBytesMax);
    const parts = data.byteLength <= partBytes ? 0 : Math.ceil(data.byteLength / partBytes);
    const digest = sha256 ?? sha256Hex(data);
    if (parts > 0) {
      if (await this.#isThere(name, digest)) return;
      await inTurns(
        parts,
        partsInFlight,
        async (n) =>
          void (await this.#append(
            this.#part(name, put, n),
            data.subarray(n * partBytes, (n + 1) * partBytes),
            undefined,
          )),
      );
    }
    const about = headers();
    about.set(bytesHeader, String(data.byteLength));
    about.set(digestHeader, digest);
    about.set(putHeader, put);
    about.set(partsHeader, String(parts));
    about.set(partBytesHeader, String(partBytes));
    const written = await this.#append(this.#entry(name), parts === 0 ? data : new Uint8Array(0), about);
    if (parts > 0 && this.#sweeps) await this.#sweep(name);
    // Another writer was first, or an earlier try of this one.
    if (!written) await this.#isThere(name, digest);
  }

  /** Fails with CONFLICT if it is there with another digest. */
  async #isThere(name: string, digest: string): Promise<boolean> {
    const entry = await this.#find(name);
    if (entry && entry.digest !== digest) throw conflict(this.#bucket, name);
    return entry !== undefined;
  }

  async read(name: string): Promise<BlobContent | undefined> {
    const entry = await this.#find(name);
    if (!entry) return undefined;
    if (entry.parts > 0) return { bytes: entry.bytes, pieces: () => this.#pieces(name, entry) };
    if (!isWhole(entry, entry.data.byteLength, sha256Hex(entry.data)))
      throw this.#changed(name, entry, entry.data.byteLength);
    return inOnePiece(entry.data);
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    const content = await this.read(name);
    try {
      return content && (await joined(content));
    } catch (error) {
      if (isVolleyError(error) && error.code === "OBJECT_NOT_FOUND") return undefined;
      throw error;
    }
  }

  async has(name: string): Promise<boolean> {
    return (await this.#message(this.#entry(name))) !== null;
  }

  async delete(name: string): Promise<void> {
    // The entry first: without it nobody looks for parts.
    for (const filter of [this.#entry(name), this.#part(name, "*", "*")]) {
      await this.#persist(`deletion of ${name}`, () => this.#manager.streams.purge(this.#bucket, { filter }));
    }
  }

  async names(): Promise<string[]> {
    const filter = `volley.blob.${this.#bucket}.entry.>`;
    const info = await this.#persist("list of names", () =>
      this.#manager.streams.info(this.#bucket, { subjects_filter: filter }),
    );
    return Object.keys(info.state.subjects ?? {}).map((subject) => nameOf(subject.split(".").at(-1) as string));
  }

  async clear(): Promise<void> {
    await this.#persist("deletion of everything", () => this.#manager.streams.purge(this.#bucket));
  }

  /** B2: parts of this name that the entry does not name. */
  async #sweep(name: string): Promise<void> {
    const entry = await this.#find(name);
    const filter = this.#part(name, "*", "*");
    const info = await this.#persist(`look at the parts of ${name}`, () =>
      this.#manager.streams.info(this.#bucket, { subjects_filter: filter }),
    );
    const puts = new Set(Object.keys(info.state.subjects ?? {}).map((subject) => subject.split(".").at(-2) as string));
    for (const put of puts) {
      if (put !== entry?.put)
        await this.#persist(`removal of a dead put of ${name}`, () =>
          this.#manager.streams.purge(this.#bucket, { filter: this.#part(name, put, "*") }),
        );
    }
  }

  async #find(name: string): Promise<Entry | undefined> {
    const message = await this.#message(this.#entry(name));
    if (!message) return undefined;
    const about = message.header;
    return {
      bytes: numberIn(about, bytesHeader),
      digest: about.get(digestHeader),
      put: about.get(putHeader),
      parts: numberIn(about, partsHeader),
      partBytes: numberIn(about, partBytesHeader),
      data: new Uint8Array(message.data),
    };
  }

  /** The parts in order, a few fetched ahead of the reader. */
  async *#pieces(name: string, entry: Entry): AsyncGenerator<Uint8Array> {
    const fetching: Promise<StoredMsg | null>[] = [];
    const digest = createHash("sha256");
    let bytes = 0;
    for (let n = 0, next = 0; n < entry.parts; n++) {
      for (; next < Math.min(n + partsInFlight, entry.parts); next++) {
        const part = this.#message(this.#part(name, entry.put, next));
        part.catch(() => undefined); // Awaited when its turn comes, if it does.
        fetching.push(part);
      }
      const part = await fetching.shift();
      if (!part) throw await this.#incomplete(name, entry);
      bytes += part.data.byteLength;
      digest.update(part.data);
      const isLast = n === entry.parts - 1;
      if (bytes > entry.bytes || (isLast && !isWhole(entry, bytes, digest.digest("hex"))))
        throw this.#changed(name, entry, bytes);
      yield part.data;
    }
  }

  /** The entry goes first when a blob is deleted. */
  async #incomplete(name: string, entry: Entry): Promise<VolleyError> {
    const blob = `blob ${name} in ${this.#bucket}`;
    return (await this.has(name))
      ? new VolleyError("CORRUPT", `${blob}: one of its ${entry.parts} parts is missing`)
      : new VolleyError("OBJECT_NOT_FOUND", `${blob} was deleted while it was read`);
  }

  #changed(name: string, entry: Entry, bytes: number): VolleyError {
    return new VolleyError(
      "CORRUPT",
      `blob ${name} in ${this.#bucket}: the ${bytes} bytes that were read are not the ${entry.bytes} bytes that were put`,
    );
  }

  /** Writes the only message of a subject; one that is there already is left as it is (false). */
  #append(subject: string, data: Uint8Array, about: MsgHdrs | undefined): Promise<boolean> {
    return this.#persist(`put to ${subject}`, async () => {
      try {
        await this.#client.publish(subject, data, {
          ...(about ? { headers: about } : {}),
          expect: { streamName: this.#bucket, lastSubjectSequence: 0 },
        });
        return true;
      } catch (error) {
        if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamWrongLastSequence)
          throw error;
        return false;
      }
    });
  }

  #message(subject: string): Promise<StoredMsg | null> {
    return this.#persist(`read of ${subject}`, async () => {
      const message = await this.#manager.direct.getMessage(this.#bucket, { last_by_subj: subject });
      return (
        message ??
        (this.#replicated ? await this.#manager.streams.getMessage(this.#bucket, { last_by_subj: subject }) : null)
      );
    });
  }

  #persist<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    return persist(
      {
        transport: this.#transport,
        what: `${what} in ${this.#bucket}`,
        cutOnDisconnect: true,
        attemptTimeoutMs: requestTimeoutMs,
      },
      attempt,
    );
  }

  #entry(name: string): string {
    return `volley.blob.${this.#bucket}.entry.${tokenOf(name)}`;
  }

  #part(name: string, put: string, n: number | "*"): string {
    return `volley.blob.${this.#bucket}.part.${tokenOf(name)}.${put}.${n}`;
  }
}

/** Names may hold dots, which divide subjects. */
const tokenOf = (name: string): string => Buffer.from(name).toString("base64url");
const nameOf = (token: string): string => Buffer.from(token, "base64url").toString();

const isWhole = (entry: Entry, bytes: number, digest: string): boolean =>
  bytes === entry.bytes && digest === entry.digest;

const numberIn = (about: MsgHdrs, header: string): number => Number(about.get(header));

/** Runs `work` for 0 … count-1, so many at a time. Stops at the first failure. */
async function inTurns(count: number, inFlight: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  let failed = false;
  const turn = async (): Promise<void> => {
    while (next < count && !failed) {
      try {
        await work(next++);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, inFlight) }, turn));
}
