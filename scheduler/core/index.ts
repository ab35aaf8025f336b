/** The scheduler core: a pure state machine. See docs/ARCHITECTURE.md. */
export { causeText } from "./cause.js";
export { clusterEngine, enginesOf } from "./engines.js";
export type {
  ChunkSegment,
  Command,
  Deferred,
  Event,
  HeldLocation,
  InlineSegment,
  JournalRecord,
  PutFacts,
  ReplyToken,
} from "./events.js";
export { checkInvariants } from "./invariants.js";
export { applyRecord } from "./records.js";
export { restore, type SnapshotData, snapshot } from "./snapshot.js";
export { createState, type OffloadSizes, type State } from "./state.js";
export { nextWakeMs, step } from "./step.js";
