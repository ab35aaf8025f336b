/** Volley for programs: `import { connect } from "volley"`. The SDK, and what research adds to a connection. */
import { type AuditingCluster, auditing } from "./research/audit.js";
import type { ConnectOptions } from "./sdk/api.js";
import { connect as connectCluster } from "./sdk/connect.js";

export { type ErrorCode, errorCatalogue, isVolleyError, type RetryClass, VolleyError } from "../proto/errors.js";
export type { CompiledGraph, JsonGraph, JsonGraphInput } from "../proto/graph.js";
export type { BundleId, JobId, ObjectId, WorkerId } from "../proto/ids.js";
export type { Explanation } from "../proto/messages/explanation.js";
export type { FunctionRef } from "../proto/messages/stage.js";
export type { JobState, JobStatus, StageStatus, WorkerStatus } from "../proto/messages/status.js";
export { type EncodedValue, type ValueKind, valueKind } from "../proto/values/kind.js";
export type { AuditFinding, AuditInput, AuditOptions, AuditReport } from "./research/audit.js";
export {
  type Bootstrap,
  bootstrapGraph,
  type CombinatorialPurged,
  cpcvGraph,
  type Overfitting,
  overfittingGraph,
  type SweptStrategy,
  type WalkForward,
  walkForwardGraph,
} from "./research/validation.js";
export type {
  Admit,
  CarryingFunction,
  ConnectOptions,
  DeployOptions,
  EncodedContent,
  GraphArg,
  GraphBuilder,
  Job,
  JobDescription,
  JobOutput,
  JobValue,
  Kernels,
  Library,
  ObjectRef,
  RefArray,
  Refable,
  RemoteFunction,
  StageRef,
  StreamOptions,
  TaskOptions,
} from "./sdk/api.js";
export { type TaskContext, taskContext } from "./sdk/task-context.js";

export type Cluster = AuditingCluster;

/**
 * Connects to the cluster at `url` (default VOLLEY_URL); without either, starts nats-server, scheduler and workers on
 * this machine, which end with the connection. Rejects with NATS_UNAVAILABLE, NO_SCHEDULER, VERSION_MISMATCH,
 * INVALID_ARGUMENT.
 *
 *   await using cluster = await connect();
 */
export async function connect(options: ConnectOptions = {}): Promise<Cluster> {
  return auditing(await connectCluster(options));
}
