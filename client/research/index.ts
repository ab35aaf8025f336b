/** Research on a cluster, `volley/research`: the look-ahead audit, and validations as graphs. */
export { type AuditFinding, type AuditInput, type AuditOptions, type AuditReport, audit } from "./audit.js";
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
} from "./validation.js";
