/**
 * Identifiers. Every id is a branded string, so that ids of different kinds cannot be mixed up.
 *
 * An object id is `<base>-<index>`. The base says what made the object:
 *   c<32 hex>          the bytes themselves (a `put`)                    index 0
 *   p<32 hex>          a pure stage: function, parameters, input ids, seed   index = task
 *   s<jobId>_<stage>   a stage that may be impure                            index = task
 * so the ids of a stage of a million tasks cost one string.
 */
declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

export type JobId = Brand<string, "JobId">;
export type ClientId = Brand<string, "ClientId">;
export type WorkerId = Brand<string, "WorkerId">;
export type TenantId = Brand<string, "TenantId">;
/** What made a stage's objects; see the header. */
export type ObjectBase = Brand<string, "ObjectBase">;
export type ObjectId = Brand<string, "ObjectId">;
/** Hex SHA-256 of a code bundle. */
export type BundleId = Brand<string, "BundleId">;
/** `<start>.<counter>`, minted by the scheduler core from its own state: no two schedulers ever give out the same. */
export type LeaseId = Brand<string, "LeaseId">;
/**
 * One start of a scheduler, in 6 characters: two starts may have the same epoch, when the journal came back from an
 * older copy between them.
 */
export type SchedulerStart = Brand<string, "SchedulerStart">;
/** One process of a worker: another process under its name is another instance. */
export type Instance = Brand<string, "Instance">;
/** Generation of the scheduler that speaks. */
export type Epoch = Brand<number, "Epoch">;
/** The journal has 32 bits for it; half of them leave room to be raised above any that was heard of. */
export const epochMax = 2 ** 31;

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const BASE = /^(?:c[0-9a-f]{32}|p[0-9a-f]{32}|s[A-Za-z0-9_-]{1,64}_\d{1,9})$/;
const OBJECT = /^(?:c[0-9a-f]{32}|p[0-9a-f]{32}|s[A-Za-z0-9_-]{1,64}_\d{1,9})-\d{1,9}$/;
const BUNDLE = /^[0-9a-f]{64}$/;

/** True for what may stand as one token in a NATS subject and as a job, client, worker or tenant id. */
export const isName = (text: string): boolean => NAME.test(text);
export const isObjectBase = (text: string): text is ObjectBase => BASE.test(text);
export const isObjectId = (text: string): text is ObjectId => OBJECT.test(text);
export const isBundleId = (text: string): text is BundleId => BUNDLE.test(text);

export const objectIdOf = (base: ObjectBase, index: number): ObjectId => `${base}-${index}` as ObjectId;
export const stageBaseOf = (job: JobId, stage: number): ObjectBase => `s${job}_${stage}` as ObjectBase;
/** Whose stage it is; undefined: its name says what it is made of, not by whom. */
export const jobOfBase = (base: ObjectBase): JobId | undefined =>
  base.startsWith("s") ? (base.slice(1, base.lastIndexOf("_")) as JobId) : undefined;

export function splitObjectId(id: ObjectId): { base: ObjectBase; index: number } {
  const dash = id.lastIndexOf("-");
  return { base: id.slice(0, dash) as ObjectBase, index: Number(id.slice(dash + 1)) };
}
