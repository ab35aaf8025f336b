/** The look-ahead check's own kernels: the future cut off or spoilt, and what differs then. */
import { auditCompare } from "./compare.js";
import { auditCut, auditCuts } from "./cut.js";

export const auditKernels = [auditCut, auditCuts, auditCompare] as const;
