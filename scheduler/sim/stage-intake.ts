/**
 * The boundary check of a session's stages, as scheduler/shell does it: a stage whose upstream is not known waits for both to come again,
 * and is refused with SESSION_LOST in the end.
 */
import { stageBase } from "../../proto/address.js";
import type { ClientId, JobId, ObjectBase } from "../../proto/ids.js";
import type { ArgSpec, ClientRequestOf, ResultSegment, StageSpec } from "../../proto/messages.js";
import type { State } from "../core/index.js";
import type { StageFacts } from "./model-function.js";

const orphanedMax = 3;

export class StageIntake {
  readonly #fail: (client: ClientId, session: JobId, segment: ResultSegment) => void;
  readonly #orphaned = new Map<string, number>();

  constructor(fail: (client: ClientId, session: JobId, segment: ResultSegment) => void) {
    this.#fail = fail;
  }

  admit({ session, client, stages }: ClientRequestOf<"stages">, state: State): { stages: StageSpec[]; bases: ObjectBase[] } {
    const here = new Map<number, StageFacts>();
    const known = (stage: number): StageFacts | undefined => {
      const record = state.jobs.get(session)?.stages.get(stage);
      return here.get(stage) ?? (record && { base: record.base, count: record.spec.count });
    };
    const kept: StageSpec[] = [];
    const bases: ObjectBase[] = [];
    for (const stage of stages) {
      const missing = [...upstreams(stage.args)].find((index) => !known(index));
      if (missing !== undefined) {
        this.#orphan(client, session, stage, missing);
        continue;
      }
      const base = stageBase(session, stage, (index) => (known(index) as StageFacts).base);
      bases.push(base);
      kept.push(stage);
      here.set(stage.index, { base, count: stage.count });
    }
    return { stages: kept, bases };
  }

  #orphan(client: ClientId, session: JobId, stage: StageSpec, missing: number): void {
    const key = `${session}/${stage.index}`;
    const times = (this.#orphaned.get(key) ?? 0) + 1;
    this.#orphaned.set(key, times % orphanedMax);
    if (times < orphanedMax) return;
    this.#fail(client, session, {
      r: "failed",
      stage: stage.index,
      from: 0,
      to: stage.count,
      error: { code: "SESSION_LOST", message: `stage ${missing} is not known` },
    });
  }
}

function* upstreams(args: readonly ArgSpec[]): IterableIterator<number> {
  for (const arg of args) {
    if (arg.a === "list") yield* upstreams(arg.of);
    else if (arg.a === "stage" || arg.a === "task") yield arg.stage;
  }
}
