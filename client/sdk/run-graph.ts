/**
 * A graph becomes a durable job: what it reads is made durable, what is too large for a message becomes a durable
 * object. Which values become objects follows from the graph's content alone, so the same graph has the same addresses
 * whoever submits it.
 */
import { randomBytes } from "node:crypto";
import { foldArg, objectsRead, renameObjects } from "../../proto/args.js";
import { type ErrorCode, isVolleyError, VolleyError } from "../../proto/errors.js";
import { type CompiledGraph, validateStages } from "../../proto/graph.js";
import { isName, type JobId, type ObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ArgSpec, StageSpec } from "../../proto/messages/stage.js";
import { type EncodedValue, valueKind } from "../../proto/values/value.js";
import { specBytes } from "../../session/session.js";
import type { Objects } from "./objects.js";
import type { Session } from "./session.js";
import { packBytesMax, valueBytesMax } from "./sizes.js";
import { argBytes } from "./spec.js";

/** 96 random bits in hex: what this client mints for jobs, sessions and itself. */
export const mintId = (): string => randomBytes(12).toString("hex");

/** How long the journal may take before a submission is reported as unanswered. */
const submitTimeoutMs = 30_000;

export async function submitGraph(
  session: Session,
  objects: Objects,
  graph: CompiledGraph,
  { key, id }: { key?: string | undefined; id?: string | undefined },
): Promise<{ job: JobId; existed: boolean }> {
  // Known before anything is asked, so that a submission that was not answered can be looked for.
  const job = (id ?? mintId()) as JobId;
  if (!isName(job))
    throw new VolleyError("INVALID_ARGUMENT", `job id ${JSON.stringify(id)}: expected 1 to 64 letters, digits, _ or -`);
  validateStages(graph.stages, graph.outputs);
  const out = (encoded: EncodedValue): Promise<ObjectId> => objects.keep(encoded);
  const given: StageSpec[] = [];
  // One after the other: a graph of many large values must not be in memory twice.
  for (const stage of graph.stages) given.push({ ...stage, args: await moveOut(stage.args, out) });
  const bytes = given.reduce((sum, stage) => sum + specBytes(stage), 0);
  const bytesMax = session.requests.payloadBytesMax - 1_024;
  if (bytes > bytesMax) {
    throw new VolleyError(
      "TOO_LARGE",
      `the graph has ${bytes} bytes in ${given.length} stages, over the limit of ${bytesMax} of one message; put its values first and pass their refs`,
    );
  }
  const reads = new Set(given.flatMap((stage) => [...objectsRead(stage.args)]));
  const names = new Map(await Promise.all([...reads].map(async (id) => [id, await objects.makeDurable(id)] as const)));
  const stages = given.map((stage) => ({
    ...stage,
    args: stage.args.map((arg) => renameObjects(arg, (id) => names.get(id) ?? id)),
  }));
  const { client, tenant } = session;
  const submit = {
    t: "submit",
    job,
    client,
    tenant,
    name: graph.name,
    stages,
    outputs: graph.outputs,
    ...(key === undefined ? {} : { key }),
  } as const;
  const reply = await session.requests
    .ask(submit, "submitted", { timeoutMs: submitTimeoutMs })
    .catch((error: unknown) => {
      throw unanswered(error, job);
    });
  return { job: reply.job, existed: reply.existed };
}

const outcomeUnknown: ReadonlySet<ErrorCode> = new Set(["TIMEOUT", "DISCONNECTED", "NO_SCHEDULER"]);

/** It may have been taken all the same: the error says how to find out. */
function unanswered(error: unknown, job: JobId): unknown {
  if (!isVolleyError(error) || !outcomeUnknown.has(error.code)) return error;
  const text = `${error.message}; the submission may have been taken: ask for job ${job}, or submit again with this id or with its key`;
  return new VolleyError(error.code, text, { cause: error, details: { ...error.details, job } });
}

/** What is moved out is moved one after the other, not all at once. */
type Lazy = () => Promise<ArgSpec>;

/**
 * Values above valueBytesMax and packs above packBytesMax become objects; then the largest ones, until the stage fits
 * into messages.
 */
async function moveOut(
  args: readonly ArgSpec[],
  out: (encoded: EncodedValue) => Promise<ObjectId>,
): Promise<ArgSpec[]> {
  const move = (arg: ArgSpec, above: { value: number; pack: number }): Promise<ArgSpec> =>
    foldArg<Lazy>(
      arg,
      (leaf) => async () => {
        if (leaf.a === "value" && leaf.data.byteLength > above.value)
          return { a: "object", id: await out({ kind: leaf.kind as EncodedValue["kind"], data: leaf.data }) };
        if (leaf.a === "item" && leaf.pack.byteLength > above.pack)
          return { a: "items", object: await out({ kind: valueKind.bytes, data: leaf.pack }) };
        return leaf;
      },
      (parts) => async () => {
        const of: ArgSpec[] = [];
        for (const part of parts) of.push(await part());
        return { a: "list", of };
      },
    )();
  const moved: ArgSpec[] = [];
  for (const arg of args) moved.push(await move(arg, { value: valueBytesMax, pack: packBytesMax }));
  let total = moved.reduce((sum, arg) => sum + argBytes(arg), 0);
  while (total > packBytesMax) {
    const largest = moved.reduce((best, arg, i) => (argBytes(arg) > argBytes(moved[best] as ArgSpec) ? i : best), 0);
    const before = moved[largest] as ArgSpec;
    const after = await move(before, { value: limits.inlineBytesMax, pack: limits.inlineBytesMax });
    if (argBytes(after) === argBytes(before)) break;
    moved[largest] = after;
    total += argBytes(after) - argBytes(before);
  }
  return moved;
}
