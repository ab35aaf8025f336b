/**
 * The client's side of the protocol as a pure machine: what was submitted, put and asked for, what came back, and what
 * is done when messages, workers or schedulers are lost. The SDK, the gateway, tasks that submit tasks and the
 * simulation drive the same one: `sessionStep(state, event, nowMs)` gives the commands that they carry out, and
 * `nextWakeMs(state)` says when it wants to be called without an event.
 */

import { ofEngine } from "../proto/engine.js";
import type { VolleyError } from "../proto/errors.js";
import type { ObjectBase, ObjectId } from "../proto/ids.js";
import { stageBaseOf } from "../proto/ids.js";
import type { StageSpec } from "../proto/messages/stage.js";
import type { NamedPut, SessionState, StageRecord } from "./state.js";

export type { NewPut, NewStage, SessionCommand, SessionEvent } from "./events.js";
export type { Outcome, StageResults, TaskRun } from "./results.js";
export { specBytes } from "./sending.js";
export { newSession, type Phase, type SessionOptions, type SessionState } from "./state.js";
export { nextWakeMs, sessionStep } from "./step.js";

/** A stage as others may see it. */
export type KnownStage = Readonly<Pick<StageRecord, "index" | "base" | "count" | "results">>;

export const stageOf = (state: SessionState, index: number): KnownStage | undefined => state.stages.get(index);

/** The base of a stage's objects, also of one that was released: then of what is not pure. */
export const baseOf = (state: SessionState, index: number): ObjectBase =>
  state.stages.get(index)?.base ?? stageBaseOf(state.options.session, index);

/** The stage as one of the engine that the scheduler has named; an older scheduler names none. */
export const addressed = (state: SessionState, spec: StageSpec): StageSpec =>
  state.engine === undefined ? spec : ofEngine(spec, state.engine);

/** What this client has put under the id, and may be used again. */
export const putOf = (
  state: SessionState,
  id: ObjectId,
): Readonly<Pick<NamedPut, "put" | "name" | "kind" | "bytes" | "inline">> | undefined => state.putsById.get(id);

/** Why it takes no more work; undefined while it does. */
export const closedBy = ({ phase }: SessionState): VolleyError | undefined =>
  phase.p === "closing" || phase.p === "closed" ? phase.reason : undefined;
