/** The SDK as the other roles of this package use it; programs get it with what research adds (client/index.ts). */
export type { ErrorCode, RetryClass } from "../../proto/errors.js";
export type { CompiledGraph, JsonGraph, JsonGraphInput } from "../../proto/graph.js";
export type { BundleId, JobId, ObjectId, WorkerId } from "../../proto/ids.js";
export type { Explanation } from "../../proto/messages/explanation.js";
export type { FunctionRef } from "../../proto/messages/stage.js";
export type { JobState, JobStatus, StageStatus, WorkerStatus } from "../../proto/messages/status.js";
export type {
  Admit,
  CarryingFunction,
  Cluster,
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
} from "./api.js";
export { connect } from "./connect.js";
export type { TaskContext } from "./task-context.js";
