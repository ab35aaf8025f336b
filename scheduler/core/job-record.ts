/**
 * Who owns work: a session, which is a client's and ends with it, or a durable job, which is the journal's. What both
 * have stands in `Owner`; the rest belongs to the one or the other.
 */
import type { WireError } from "../../proto/errors.js";
import type { ClientId, JobId, ObjectId, TenantId } from "../../proto/ids.js";
import type { JobState } from "../../proto/messages/status.js";
import type { InlineSegment, PutFacts } from "./events.js";
import type { Peer } from "./peer.js";
import { RangeSet } from "./ranges.js";

/** `S`: stages. */
interface Owner<S> {
  readonly id: JobId;
  readonly tenant: TenantId;
  readonly name: string;
  readonly submittedAtMs: number;
  readonly stages: Map<number, S>;
  /** Tasks of its stages, and how many of them are in each state. */
  tasks: number;
  readonly tally: number[];
  /** Bytes of its stages' arguments. */
  argBytes: number;
  state: JobState;
  endedAtMs: number | undefined;
  error: WireError | undefined;
  executed: number;
  /** Of its stages together. */
  reused: number;
  retried: number;
  slotTimeUs: number;
  resultBytes: number;
  /** Of its results, what lies inline in the heap. */
  looseBytes: number;
  /** Results that are being written to a blob. */
  offloading: { readonly blob: string; readonly segments: readonly InlineSegment[] } | undefined;
}

export interface SessionRecordOf<S> extends Owner<S>, Peer {
  readonly kind: "session";
  readonly client: ClientId;
  /** Of what it has put: missing, to be put again. */
  readonly missing: Set<ObjectId>;
  /** Stages that were forgotten after their release, so that no late copy of their message brings them back (M1). */
  readonly forgotten: RangeSet;
  /** Stages kept for lineage alone, oldest first. */
  readonly shelved: Set<S>;
}

export interface DurableRecordOf<S> extends Owner<S> {
  readonly kind: "durable";
  readonly key: string | undefined;
  readonly contentHash: string;
  readonly outputs: readonly number[];
  /** What the graph reads that was put, as it was known at submission. */
  readonly objects: ReadonlyMap<ObjectId, PutFacts>;
  /** Of its outputs; computed by the shell. */
  digest: { readonly d: "none" | "computing" } | { readonly d: "known"; readonly digest: string };
  /** After its end: what it takes of the heap, once counted. */
  retainedBytes: number | undefined;
}

export type JobRecordOf<S> = SessionRecordOf<S> | DurableRecordOf<S>;

const createOwner = <S>(about: Pick<Owner<S>, "id" | "tenant" | "name" | "submittedAtMs">): Owner<S> => ({
  ...about,
  stages: new Map(),
  tasks: 0,
  tally: [0, 0, 0, 0, 0, 0, 0, 0],
  argBytes: 0,
  state: "running",
  endedAtMs: undefined,
  error: undefined,
  executed: 0,
  reused: 0,
  retried: 0,
  slotTimeUs: 0,
  resultBytes: 0,
  looseBytes: 0,
  offloading: undefined,
});

export const createSession = <S>(
  about: Pick<SessionRecordOf<S>, "id" | "tenant" | "submittedAtMs" | "client">,
): SessionRecordOf<S> => {
  const { client, ...owner } = about;
  return {
    kind: "session",
    ...createOwner<S>({ ...owner, name: "session" }),
    client,
    receivedMs: 0,
    receivedAt: 0,
    missing: new Set(),
    forgotten: new RangeSet(),
    shelved: new Set(),
  };
};

export const createDurable = <S>(
  about: Pick<DurableRecordOf<S>, "id" | "tenant" | "name" | "submittedAtMs" | "key" | "contentHash" | "outputs"> & {
    readonly objects: readonly PutFacts[];
  },
): DurableRecordOf<S> => {
  const { id, tenant, name, submittedAtMs, key, contentHash, outputs, objects } = about;
  return {
    kind: "durable",
    ...createOwner<S>({ id, tenant, name, submittedAtMs }),
    key,
    contentHash,
    outputs,
    objects: new Map(objects.map((facts) => [facts.id, facts])),
    digest: { d: "none" },
    retainedBytes: undefined,
  };
};

/** What a durable job's graph reads that was put; a session's stages say it themselves. */
export const objectOf = (job: JobRecordOf<never> | JobRecordOf<unknown>, id: ObjectId): PutFacts | undefined =>
  job.kind === "durable" ? job.objects.get(id) : undefined;
