/**
 * The boundary check of `stages` messages: which of a session's new stages the core may see, and under which bases.
 *
 * A stage whose upstream the core does not know is not passed on: the message that brought the upstream was lost, the
 * client's heartbeat will say that it waits for both, and both come again (M1, M5). If it keeps coming without its
 * upstream, it ends with SESSION_LOST instead of going round for ever. A stage that cannot be right ends with its
 * fault, and the stages that read it with UPSTREAM_FAILED.
 */
import { stageBase } from "../../proto/address.js";
import { argsBytes, stagesRead } from "../../proto/args.js";
import { isVolleyError, toWireError, VolleyError, type WireError } from "../../proto/errors.js";
import { validateStages } from "../../proto/graph.js";
import { type ClientId, type JobId, type ObjectBase, stageBaseOf } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ClientRequestOf } from "../../proto/messages/client.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import type { ArgSpec, StageSpec } from "../../proto/messages/stage.js";
import type { KnownStage, SessionSize } from "./core-port.js";

export interface SessionStagesOptions {
  stageOf(job: JobId, stage: number): KnownStage | undefined;
  /** undefined: there is no such session. */
  sizeOf(session: JobId): SessionSize | undefined;
  /** A stage's arguments must fit into a lease order. */
  readonly argsBytesMax: number;
  fail(client: ClientId, session: JobId, segment: ResultSegment): void;
}

/** Faults of one session; most sessions have none. */
interface SessionFaults {
  readonly rejected: Set<number>;
  readonly orphaned: Map<number, number>;
}

const orphanedMax = 3;
const faultsMax = 10_000;
const sessionsKept = 1_000;

const needsCheck = (arg: ArgSpec): boolean =>
  arg.a === "stage" || arg.a === "task" || arg.a === "item" || arg.a === "each" || arg.a === "list";

export function checkArgsFit(stage: StageSpec, bytesMax: number): void {
  const bytes = argsBytes(stage.args);
  if (bytes > bytesMax)
    throw new VolleyError(
      "TOO_LARGE",
      `arguments of stage ${stage.index} have ${bytes} bytes, over the limit of ${bytesMax}; put the large ones and pass their refs`,
      { details: { path: `stages.${stage.index}.args` } },
    );
}

/**
 * Adds the stage to what the session has. TOO_LARGE when that is more than one client may have: the scheduler serves
 * the others, too.
 */
function grow(size: SessionSize, stage: StageSpec): void {
  const way =
    "keep fewer refs (what is dropped is forgotten), or use map, which makes one stage of any number of calls";
  const over = (what: string, limit: number, name: string): never => {
    throw new VolleyError(
      "TOO_LARGE",
      `with stage ${stage.index} the session has ${what}, over the limit of ${limit} (${name}); ${way}`,
      {
        details: { limit },
      },
    );
  };
  const stages = size.stages + 1;
  const tasks = size.tasks + stage.count;
  const argBytes = size.argBytes + argsBytes(stage.args);
  if (stages > limits.stagesPerSessionMax)
    over(`${stages} stages whose refs live`, limits.stagesPerSessionMax, "stagesPerSessionMax");
  if (tasks > limits.tasksPerJobMax) over(`${tasks} tasks whose refs live`, limits.tasksPerJobMax, "tasksPerJobMax");
  if (argBytes > limits.argBytesPerSessionMax)
    over(`${argBytes} bytes of arguments`, limits.argBytesPerSessionMax, "argBytesPerSessionMax");
  size.stages = stages;
  size.tasks = tasks;
  size.argBytes = argBytes;
}

export class SessionStages {
  readonly #options: SessionStagesOptions;
  readonly #failureRecords = new Map<JobId, SessionFaults>();

  constructor(options: SessionStagesOptions) {
    this.#options = options;
  }

  /** Sessions of which something is kept. */
  get size(): number {
    return this.#failureRecords.size;
  }

  forget(session: JobId): void {
    this.#failureRecords.delete(session);
  }

  /** The request as the core may see it, with the bases of its stages; the same object when nothing was wrong. */
  admit(request: ClientRequestOf<"stages">): { request: ClientRequestOf<"stages">; bases: ObjectBase[] } {
    const { session, stages } = request;
    const bases: ObjectBase[] = [];
    let kept: StageSpec[] | undefined;
    const here = new Map<number, KnownStage>();
    const known = (stage: number): KnownStage | undefined => here.get(stage) ?? this.#options.stageOf(session, stage);
    const baseOf = (stage: number): ObjectBase => {
      const found = known(stage);
      if (!found) throw new VolleyError("INVALID_GRAPH", `there is no stage ${stage}`);
      return found.base;
    };
    const single = stages.length === 1;
    const size = { stages: 0, tasks: 0, argBytes: 0, ...this.#options.sizeOf(session) };
    stages.forEach((stage, position) => {
      // What is known is not looked at again (M1): its upstreams may have been released since.
      if (known(stage.index) || !this.#passes(request, stage, known, size)) {
        kept ??= stages.slice(0, position);
        return;
      }
      kept?.push(stage);
      const base = stageBase(session, stage, baseOf);
      bases.push(base);
      if (!single) here.set(stage.index, { count: stage.count, base });
    });
    return kept ? { request: { ...request, stages: kept }, bases } : { request, bases };
  }

  /**
   * The bases of stages that a session opened again says something of. Throws what is wrong with one of them.
   * A stage that has ended is under the base that its client knows, which is of its own session, or the address of
   * something pure: what is claimed of that serves this session alone.
   */
  resume({ session, stages }: ClientRequestOf<"resume">): ObjectBase[] {
    const here = new Map<number, KnownStage>();
    const known = (stage: number): KnownStage | undefined => here.get(stage) ?? this.#options.stageOf(session, stage);
    const size = { stages: 0, tasks: 0, argBytes: 0, ...this.#options.sizeOf(session) };
    return stages.map(({ spec, base: given }) => {
      const base =
        known(spec.index)?.base ??
        (given === undefined ? this.#resumedBase(session, spec, known) : checkedBase(session, spec, given));
      if (!known(spec.index)) grow(size, spec);
      here.set(spec.index, { count: spec.count, base });
      return base;
    });
  }

  #resumedBase(session: JobId, spec: StageSpec, known: (stage: number) => KnownStage | undefined): ObjectBase {
    checkArgsFit(spec, this.#options.argsBytesMax);
    const missing = missingUpstream(spec.args, spec.index, known);
    if (missing !== undefined)
      throw new VolleyError(
        "INVALID_GRAPH",
        `stage ${spec.index} reads stage ${missing}, which is not known; it is to be resumed before`,
      );
    validateStages([spec], [], spec.index, (index) => known(index)?.count);
    return stageBase(session, spec, (index) => (known(index) as KnownStage).base);
  }

  #passes(
    request: ClientRequestOf<"stages">,
    stage: StageSpec,
    known: (stage: number) => KnownStage | undefined,
    size: SessionSize,
  ): boolean {
    const { client, session } = request;
    try {
      checkArgsFit(stage, this.#options.argsBytesMax);
      if (stage.args.some(needsCheck)) {
        const missing = missingUpstream(stage.args, stage.index, known);
        if (missing !== undefined) return this.#orphan(client, session, stage, missing);
        validateStages([stage], [], stage.index, (index) => known(index)?.count);
      }
      grow(size, stage);
      return true;
    } catch (error) {
      if (!isVolleyError(error)) throw error;
      this.#reject(client, session, stage, toWireError(error));
      return false;
    }
  }

  #orphan(client: ClientId, session: JobId, stage: StageSpec, missing: number): false {
    const failureRecords = this.#of(session);
    if (failureRecords.rejected.has(missing)) {
      this.#reject(client, session, stage, {
        code: "UPSTREAM_FAILED",
        message: `stage ${missing}, which stage ${stage.index} reads, was refused`,
      });
      return false;
    }
    const times = (failureRecords.orphaned.get(stage.index) ?? 0) + 1;
    if (times < orphanedMax) {
      if (failureRecords.orphaned.size < faultsMax) failureRecords.orphaned.set(stage.index, times);
      return false;
    }
    failureRecords.orphaned.delete(stage.index);
    this.#reject(client, session, stage, {
      code: "SESSION_LOST",
      message: `stage ${stage.index} reads stage ${missing}, which the scheduler does not know (it restarted, or the stage was released); submit both again`,
    });
    return false;
  }

  #reject(client: ClientId, session: JobId, stage: StageSpec, error: WireError): void {
    const { rejected } = this.#of(session);
    // What its client is asked to send again may come yet, and what reads it with it.
    if (rejected.size < faultsMax && error.code !== "SESSION_LOST") rejected.add(stage.index);
    this.#options.fail(client, session, { r: "failed", stage: stage.index, from: 0, to: stage.count, error });
  }

  #of(session: JobId): SessionFaults {
    const known = this.#failureRecords.get(session);
    if (known) return known;
    // Of sessions that never deregistered: the oldest is long over, or gets its patience anew.
    if (this.#failureRecords.size >= sessionsKept)
      for (const oldest of this.#failureRecords.keys()) {
        this.#failureRecords.delete(oldest);
        break;
      }
    const failureRecords: SessionFaults = { rejected: new Set(), orphaned: new Map() };
    this.#failureRecords.set(session, failureRecords);
    return failureRecords;
  }
}

function checkedBase(session: JobId, spec: StageSpec, base: ObjectBase): ObjectBase {
  if (base === stageBaseOf(session, spec.index) || base.startsWith("p")) return base;
  throw new VolleyError(
    "INVALID_ARGUMENT",
    `stage ${spec.index} of session ${session} cannot have objects named ${base}`,
  );
}

function missingUpstream(
  args: readonly ArgSpec[],
  index: number,
  known: (stage: number) => KnownStage | undefined,
): number | undefined {
  for (const stage of stagesRead(args)) if (stage < index && !known(stage)) return stage;
  return undefined;
}
