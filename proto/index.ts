/** The contract, for programs that speak to a cluster without the SDK. */
export {
  type ErrorCode,
  errorCatalogue,
  isVolleyError,
  type RetryClass,
  VolleyError,
  type WireError,
} from "./errors.js";
export {
  type CompiledGraph,
  compileGraph,
  type JsonGraph,
  type JsonGraphInput,
  jsonGraph,
  parseGraph,
} from "./graph.js";
export type { BundleId, ClientId, JobId, ObjectId, TenantId, WorkerId } from "./ids.js";
export { limits } from "./limits.js";
export { PROTOCOL_VERSION } from "./version.js";
