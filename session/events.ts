/**
 * What the session takes in and what it gives out. Events carry plain data; whoever drives the session (the SDK, the
 * gateway, a task, the simulation) owns transport, timers, encoding and the promises of its callers.
 *
 * Order: events are taken one at a time; the commands of a step are carried out in their order before the next event.
 */
import type { VolleyError, WireError } from "../proto/errors.js";
import type { ObjectBase, ObjectId, WorkerId } from "../proto/ids.js";
import type { ClientReply, ClientRequest, ClientRequestOf, ClientUpdate } from "../proto/messages/client.js";
import type { ObjectLocation } from "../proto/messages/results.js";
import type { StageSpec } from "../proto/messages/stage.js";

/** A stage as it is to be sent: whoever submits computes its base (proto/address.ts). */
export interface NewStage {
  readonly index: number;
  readonly spec: StageSpec;
  readonly base: ObjectBase;
  /** Stages it reads. */
  readonly reads: readonly number[];
  /** Puts that must be in the cluster before it is sent, and are kept until it has ended. */
  readonly puts: readonly number[];
}

/** What an object that is put is called: an id that says the digest of its bytes. */
export interface PutName {
  readonly id: ObjectId;
  readonly digest: Uint8Array;
}

/** A value that is to be put. `put` counts what this client puts and is its generation (M8). */
export interface NewPut {
  readonly put: number;
  /** undefined: the worker that takes it digests what lands, and says so. */
  readonly name: PutName | undefined;
  readonly kind: number;
  readonly bytes: number;
  /** At most limits.inlineBytesMax: told to the scheduler with its bytes; absent: a worker takes it. */
  readonly inline: Uint8Array | undefined;
}

export type SessionEvent =
  /** Opens the session: once, first. `up`: whether the transport is connected. */
  | { readonly e: "start"; readonly timeoutMs: number; readonly up: boolean }
  | { readonly e: "link"; readonly up: boolean }
  /** The time that `nextWakeMs` named has come. */
  | { readonly e: "ticked" }
  /** Ends the session here; at the scheduler, too, if it can be reached within a second. */
  | { readonly e: "close" }
  // ---- stages
  /** A stage that still grows: its index is taken, and others may read it. */
  | { readonly e: "began"; readonly index: number }
  | { readonly e: "submitted"; readonly stage: NewStage }
  /** A stage that had begun and cannot be: its one task ends with this. */
  | { readonly e: "unbuilt"; readonly index: number; readonly error: WireError }
  /** The tick has ended: what was submitted in it may go. */
  | { readonly e: "flush" }
  /** No ref of the stage is left. */
  | { readonly e: "released"; readonly index: number }
  /** `stages` could not be published: over the transport's limit, or it is closed. */
  | { readonly e: "unsent"; readonly indexes: readonly number[]; readonly error: WireError }
  | {
      readonly e: "cancel";
      readonly cancel: number;
      readonly index: number;
      readonly from: number;
      readonly to: number;
    }
  // ---- what comes from the scheduler
  | { readonly e: "update"; readonly update: ClientUpdate }
  | { readonly e: "replied"; readonly ask: number; readonly reply: ClientReply }
  /** No answer: NO_LISTENER, TIMEOUT, DISCONNECTED, CLOSED, TOO_LARGE, or what the transport says. */
  | { readonly e: "unanswered"; readonly ask: number; readonly error: VolleyError }
  /** A caller's own question, repeated until answered or for `timeoutMs`. */
  | {
      readonly e: "asked";
      readonly question: number;
      readonly request: ClientRequest;
      readonly expected: ClientReply["t"];
      readonly timeoutMs?: number | undefined;
    }
  // ---- puts
  | { readonly e: "put"; readonly put: NewPut }
  | { readonly e: "put-needed"; readonly put: number }
  | { readonly e: "put-unneeded"; readonly put: number }
  /** `name`: as the worker says, which has digested it. */
  | { readonly e: "uploaded"; readonly put: number; readonly name: PutName }
  /** OBJECT_LOST: its value is not here any more. */
  | { readonly e: "upload-failed"; readonly put: number; readonly error: VolleyError }
  // ---- gets
  | { readonly e: "get"; readonly get: number; readonly id: ObjectId }
  /** Nobody waits for it any more. */
  | { readonly e: "get-ended"; readonly get: number }
  | { readonly e: "fetched"; readonly get: number }
  | { readonly e: "fetch-failed"; readonly get: number; readonly error: VolleyError }
  /** Where is it? Questions up to the next flush travel as one. */
  | { readonly e: "locate"; readonly question: number; readonly id: ObjectId };

export type SessionCommand =
  /** Sends a request to the scheduler; `replied` or `unanswered` follows. */
  | {
      readonly c: "request";
      readonly ask: number;
      readonly request: ClientRequest;
      readonly timeoutMs: number;
    }
  /** Publishes stages, without an answer. */
  | { readonly c: "publish"; readonly message: ClientRequestOf<"stages"> }
  | { readonly c: "opened" }
  /** The first opening failed: the session is closed. */
  | { readonly c: "not-opened"; readonly error: VolleyError }
  | { readonly c: "closed" }
  /** Every wait ends with this; later ones may succeed, unless it is CLOSED. */
  | { readonly c: "give-up"; readonly error: VolleyError }
  /** A fault that no caller can be told of. */
  | { readonly c: "fault"; readonly error: unknown }
  // ---- stages
  /** Tasks [from, to) have results (`failed`: they failed). Once for each task. */
  | {
      readonly c: "settled";
      readonly index: number;
      readonly from: number;
      readonly to: number;
      readonly failed: boolean;
    }
  /** The cancel has ended: nothing of it will run, or the scheduler could not be asked. */
  | { readonly c: "cancelled"; readonly cancel: number; readonly error: VolleyError | undefined }
  // ---- a caller's questions
  | { readonly c: "answered"; readonly question: number; readonly reply: ClientReply }
  | { readonly c: "not-answered"; readonly question: number; readonly error: VolleyError }
  | { readonly c: "located"; readonly question: number; readonly location: ObjectLocation }
  // ---- puts
  /** The bytes go to this worker; `uploaded` or `upload-failed` follows. */
  | { readonly c: "upload"; readonly put: number; readonly worker: WorkerId }
  /** Tasks may read it; or it cannot be put. Once for each put. */
  | { readonly c: "put-done"; readonly put: number; readonly error: VolleyError | undefined }
  /** Its bytes need not be sent (again) any more, for now. */
  | { readonly c: "upload-over"; readonly put: number }
  /** It is not this session's any more: the next put of the value is a new one. */
  | { readonly c: "put-forgotten"; readonly put: number }
  // ---- gets
  /** Fetches the object from one of these places; `fetched` or `fetch-failed` follows. */
  | { readonly c: "fetch"; readonly get: number; readonly location: ObjectLocation }
  | { readonly c: "get-failed"; readonly get: number; readonly error: VolleyError | { readonly task: WireError } };
