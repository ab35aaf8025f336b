/** Volley for programs: `import { connect } from "volley"`. */
export { type ErrorCode, errorCatalogue, isVolleyError, type RetryClass, VolleyError } from "../../proto/errors.js";
export type { CompiledGraph, JsonGraph, JsonGraphInput } from "../../proto/graph.js";
export type { BundleId, JobId, ObjectId, WorkerId } from "../../proto/ids.js";
export type { Explanation } from "../../proto/messages/explanation.js";
export type { FunctionRef } from "../../proto/messages/stage.js";
export type { JobState, JobStatus, StageStatus, WorkerStatus } from "../../proto/messages/status.js";
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
} from "../research/validation.js";
export type {
  Admit,
  AuditFinding,
  AuditInput,
  AuditOptions,
  AuditReport,
  CarryingFunction,
  Cluster,
  ConnectOptions,
  DeployOptions,
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
} from "./api.js";
export { connect } from "./connect.js";
export { type TaskContext, taskContext } from "./task-context.js";
