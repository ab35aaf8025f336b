/**
 * What a session remembers. Records have one union for where they are, with the data of that place. Only the step
 * changes any of it; drivers read it through the questions of session.ts.
 */
import type { VolleyError, WireError } from "../proto/errors.js";
import type { ClientId, JobId, ObjectBase, ObjectId, TenantId, WorkerId } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import type { ClientReply, ClientRequest, ClientRequestOf } from "../proto/messages/client.js";
import type { StageSpec } from "../proto/messages/stage.js";
import { EpochWatch } from "./epoch-watch.js";
import type { PutName, SessionCommand } from "./events.js";
import { StageResults, type TaskRun } from "./results.js";
import { Timers } from "./timers.js";
import { SendWindow } from "./window.js";

export interface SessionOptions {
  readonly client: ClientId;
  readonly session: JobId;
  readonly tenant: TenantId;
  /**
   * After this long without a word from the scheduler, or without a session, waits end with DISCONNECTED. Default 60 s.
   */
  readonly unreachableMs?: number | undefined;
}

// ------------------------------------------------------------------------------------------------ the session

/** How far an opening of the session on a scheduler that does not know it has come (S5). */
export type Reopening =
  /** The next turn tries it (again). */
  | { readonly r: "due" }
  | { readonly r: "asking" }
  /** What was put is told anew; `puts` and `holds` are still to be told, `asked` are under way. */
  | {
      readonly r: "restoring";
      readonly puts: NamedPut[];
      readonly holds: NamedPut[][];
      readonly asked: Set<PutRecord>;
    };

export type Phase =
  | { readonly p: "new" }
  | { readonly p: "opening" }
  | { readonly p: "open" }
  /** The scheduler that speaks is known not to have this session. */
  | { readonly p: "lost"; sinceMs: number; why: VolleyError | undefined; reopening: Reopening }
  | { readonly p: "closing"; readonly reason: VolleyError }
  | { readonly p: "closed"; readonly reason: VolleyError };

/** The one heartbeat that may be under way, and whether another is to follow it at once. */
export type Beating = { readonly b: "idle" } | { readonly b: "asked" } | { readonly b: "asked-and-due" };

// ------------------------------------------------------------------------------------------------ stages

export type StageState =
  /** It has an index and grows. */
  | { readonly s: "growing" }
  /**
   * It is sent, or is to be: its specification is kept until every result is here (S2). `uploads`: puts that are on
   * their way. `readUnseen`: its tasks whose results were read by tasks whose results are here, of those that are not
   * settled (shown-inputs.ts).
   */
  | {
      readonly s: "open";
      readonly spec: StageSpec;
      readonly reads: readonly StageRecord[];
      readonly puts: readonly PutRecord[];
      uploads: number;
      sentAtMs: number;
      resends: number;
      /** In the outbox; beyond the window; or neither: at the scheduler, or waiting for what it reads. */
      at: "outbox" | "behind" | "sent";
      readUnseen: TaskRun[];
    }
  /** Every result is here. `callee`: enough to tell another scheduler. `untold`: why none can be told. */
  | {
      readonly s: "settled";
      readonly callee: Pick<StageSpec, "fn" | "name" | "options"> | undefined;
      untold: WireError | undefined;
    };

export type OpenState = Extract<StageState, { s: "open" }>;

export interface StageRecord {
  readonly index: number;
  base: ObjectBase;
  count: number;
  state: StageState;
  readonly results: StageResults;
  /** The opening of the session in which the scheduler that spoke was told of it; 0: never. */
  sentIn: number;
  /** Open stages that read it. */
  readers: number;
  refs: "held" | "gone";
}

/** Stages as one message tells them to a scheduler that does not know them. */
export interface Page {
  readonly stages: ClientRequestOf<"resume">["stages"];
  /** Stages of which this page says the last. */
  readonly ends: StageRecord[];
}

// ------------------------------------------------------------------------------------------------ puts

/** The way of a large value to a worker. */
export type Placement =
  | { readonly at: "queue"; readonly tries: number; readonly failingSinceMs: number | undefined }
  | { readonly at: "asking" | "pausing"; readonly tries: number; readonly failingSinceMs: number | undefined }
  | {
      readonly at: "uploading" | "holding";
      readonly worker: WorkerId;
      readonly tries: number;
      readonly failingSinceMs: number | undefined;
      readonly holds: number;
    };

export type PutState =
  /** Small: the scheduler is being told; `lost`: so often it did not know the session. */
  | { readonly p: "restoring"; readonly lost: number }
  | { readonly p: "placing"; readonly way: Placement }
  /** Tasks may read it. `again`: it was lost, and is on its way once more. */
  /**
   * `again`: it is on its way once more. `awaited`: whoever held it is silent and may come back with it, so that it was
   * tried to put it again, and nothing is given back if that fails.
   */
  | { readonly p: "placed"; readonly again: Placement | undefined; readonly awaited?: true }
  /** Not needed any more, but still on its way: the scheduler is told once it has ended. */
  | { readonly p: "leaving"; readonly way: Placement | undefined }
  /** `error`: it could not be put. */
  | { readonly p: "gone"; readonly error: VolleyError | undefined };

export interface PutRecord {
  /** Its place among what this client has put. */
  readonly put: number;
  /** Places of later puts that turned out to be of the same bytes (U4). */
  readonly also: number[];
  /** The newest by which it was put (M8). */
  generation: number;
  /** undefined: no worker has taken it yet (U4). */
  name: PutName | undefined;
  readonly kind: number;
  readonly bytes: number;
  readonly inline: Uint8Array | undefined;
  state: PutState;
  /** Refs, tables and open stages that need it (U1). */
  needs: number;
  /** Stages that wait for it. */
  readonly waiting: Set<StageRecord>;
}

export type NamedPut = PutRecord & { name: PutName };

export const isNamed = (put: PutRecord): put is NamedPut => put.name !== undefined;

// ------------------------------------------------------------------------------------------------ questions

/** What an answer is for. */
export type Purpose =
  | { readonly w: "open" }
  | { readonly w: "reopen" }
  | { readonly w: "heartbeat"; readonly sent: ClientRequestOf<"heartbeat"> }
  | { readonly w: "close" }
  | { readonly w: "resume"; readonly page: Page; readonly opening: number }
  | { readonly w: "cancel"; readonly cancel: Cancel }
  | { readonly w: "put"; readonly put: NamedPut }
  | { readonly w: "put-again"; readonly put: PutRecord; readonly of: Reopening }
  | { readonly w: "hold-again"; readonly of: Reopening }
  | { readonly w: "place" | "hold"; readonly put: PutRecord }
  | { readonly w: "locate"; readonly ids: readonly ObjectId[]; readonly askers: ReadonlyMap<ObjectId, Locating[]> }
  | { readonly w: "question"; readonly question: number };

export interface Ask {
  readonly ask: number;
  readonly request: ClientRequest;
  readonly expected: ClientReply["t"];
  readonly timeoutMs: number;
  readonly purpose: Purpose;
  deadlineMs: number;
  pauseMs: number;
  /** The try that is under way began then, and was given so long. */
  triedAtMs: number;
  triedForMs: number;
}

/** Tasks [from, to) of a stage are to be ended. */
export interface Cancel {
  readonly cancel: number;
  readonly index: number;
  readonly from: number;
  readonly to: number;
  readonly deadlineMs: number;
}

export type Locating = { readonly get: Get } | { readonly question: number };

/** An object on its way to a caller. */
export interface Get {
  readonly get: number;
  readonly id: ObjectId;
  state: "queued" | "locating" | "fetching" | "pausing" | "over";
  pauseMs: number;
  failure: VolleyError | undefined;
  unknownSinceMs: number | undefined;
  failingSinceMs: number | undefined;
}

// ------------------------------------------------------------------------------------------------ all of it

/** What a timer is for; each looks whether it is still wanted. */
export type Wake =
  | { readonly w: "turn" }
  | { readonly w: "send" }
  | { readonly w: "ask"; readonly ask: Ask }
  | { readonly w: "offer"; readonly put: PutRecord }
  | { readonly w: "hold"; readonly put: PutRecord }
  | { readonly w: "send-put"; readonly put: NamedPut }
  | { readonly w: "cancel"; readonly cancel: Cancel }
  | { readonly w: "get"; readonly get: Get };

export interface SessionState {
  readonly options: SessionOptions;
  phase: Phase;
  link: "up" | "down";
  readonly timers: Timers<Wake>;

  // ---- the scheduler
  readonly epochs: EpochWatch;
  /** Of the scheduler that was heard last, and of that which has opened the session. */
  epoch: number;
  openedEpoch: number;
  openedMs: number;
  /** Counts openings; what was told in an earlier one is void. */
  opening: number;
  engine: string | undefined;
  intervalMs: number;
  receivedMs: number;
  turnedMs: number;
  beating: Beating;
  readonly asks: Map<number, Ask>;
  nextAsk: number;

  // ---- stages
  readonly stages: Map<number, StageRecord>;
  outbox: StageRecord[];
  readonly window: SendWindow<StageRecord>;
  readonly restoring: {
    readonly queue: Set<StageRecord>;
    run: { readonly opening: number; readonly pages: Iterator<Page>; readonly split: Page[] } | undefined;
  };
  readonly cancels: Map<number, Cancel>;

  // ---- what is given back: until a heartbeat that lists it has been answered
  released: number[];
  dropped: { readonly id: ObjectId; readonly generation: number }[];
  droppedBytes: number;

  // ---- puts
  /** By place; later puts of the same bytes are here by theirs, too. */
  readonly puts: Map<number, PutRecord>;
  readonly putsById: Map<ObjectId, NamedPut>;
  /** Of this tick: who needs them says so before its flush. */
  freshPuts: PutRecord[];
  /** Not needed, and since when; oldest first. */
  readonly lingering: Map<PutRecord, number>;
  readonly offers: { readonly queue: Set<PutRecord>; running: number };

  // ---- gets
  readonly gets: Map<number, Get>;
  readonly fetches: { readonly queue: Set<Get>; running: number };
  toLocate: Map<ObjectId, Locating[]>;
}

export function newSession(options: SessionOptions): SessionState {
  return {
    options,
    phase: { p: "new" },
    link: "down",
    timers: new Timers(),
    epochs: new EpochWatch(),
    epoch: 0,
    openedEpoch: 0,
    openedMs: 0,
    opening: 0,
    engine: undefined,
    intervalMs: limits.heartbeatIntervalMs,
    receivedMs: 0,
    turnedMs: 0,
    beating: { b: "idle" },
    asks: new Map(),
    nextAsk: 1,
    stages: new Map(),
    outbox: [],
    window: new SendWindow(),
    restoring: { queue: new Set(), run: undefined },
    cancels: new Map(),
    released: [],
    dropped: [],
    droppedBytes: 0,
    puts: new Map(),
    putsById: new Map(),
    freshPuts: [],
    lingering: new Map(),
    offers: { queue: new Set(), running: 0 },
    gets: new Map(),
    fetches: { queue: new Set(), running: 0 },
    toLocate: new Map(),
  };
}

/** One step under way: what it gives out, and what is to be done once at its end. */
export interface Context {
  readonly state: SessionState;
  readonly nowMs: number;
  readonly out: SessionCommand[];
  readonly due: Due;
}

/** Once at the end of the step. */
export interface Due {
  send: boolean;
  emit: boolean;
  locate: boolean;
}

/** Whether the scheduler that speaks has not been told yet all that this session has. */
export const isUnsettled = (state: SessionState): boolean => state.phase.p === "lost" || state.restoring.queue.size > 0;

export const newStage = (index: number, base: ObjectBase): StageRecord => ({
  index,
  base,
  count: 0,
  state: { s: "growing" },
  results: new StageResults(),
  sentIn: 0,
  readers: 0,
  refs: "held",
});
