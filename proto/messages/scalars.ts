/** The scalars of messages as zod schemas: ids of every kind, counts, bytes. */
import { z } from "zod";
import {
  type BundleId,
  type ClientId,
  type Epoch,
  epochMax,
  type Instance,
  isBundleId,
  isName,
  isObjectBase,
  isObjectId,
  type JobId,
  type LeaseId,
  type ObjectBase,
  type ObjectId,
  type SchedulerStart,
  type TenantId,
  type WorkerId,
} from "../ids.js";

const name = <T>() =>
  z.custom<T>((v) => typeof v === "string" && isName(v), { error: "expected 1 to 64 letters, digits, _ or -" });
export const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
export const u32 = z.number().int().min(0).max(0xffff_ffff);
export const bytes = z.custom<Uint8Array>((v) => v instanceof Uint8Array, { error: "expected bytes" });

export const jobId = name<JobId>();
export const clientId = name<ClientId>();
export const workerId = name<WorkerId>();
export const tenantId = name<TenantId>();
export const objectId = z.custom<ObjectId>((v) => typeof v === "string" && isObjectId(v), {
  error: "expected an object id",
});
export const objectBase = z.custom<ObjectBase>((v) => typeof v === "string" && isObjectBase(v), {
  error: "expected an object base",
});
export const bundleId = z.custom<BundleId>((v) => typeof v === "string" && isBundleId(v), {
  error: "expected a SHA-256 in 64 hex digits",
});
export const instance = name<Instance>();
export const schedulerStart = name<SchedulerStart>();
export const leaseId = z.custom<LeaseId>((v) => typeof v === "string" && v.length <= 40, {
  error: "expected a lease id",
});
export const epoch = z.custom<Epoch>((v) => typeof v === "number" && Number.isInteger(v) && v >= 0 && v < epochMax, {
  error: "expected an epoch below 2^31",
});

/** A family of engines (engine.ts); "": not known. */
export const engineName = z.string().max(96);
