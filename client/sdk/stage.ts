/** A stage as its refs see it: what the session knows of it, and who waits for its tasks. */
import type { JobId, ObjectBase } from "../../proto/ids.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import type { KnownStage, StageResults } from "../../session/session.js";
import { StageWaits } from "./waits.js";

export class ClientStage {
  /** Makes its specification at the end of the tick; gone once that is done. */
  build: (() => StageSpec) | undefined;
  readonly waits = new StageWaits();
  readonly #known: KnownStage;

  constructor(known: KnownStage, build?: () => StageSpec) {
    this.#known = known;
    this.build = build;
  }

  get index(): number {
    return this.#known.index;
  }

  get count(): number {
    return this.#known.count;
  }

  get results(): StageResults {
    return this.#known.results;
  }

  /** The base of its objects. */
  get base(): ObjectBase {
    return this.#known.base;
  }
}

/** All refs of a stage share one. When it is unreachable, no ref is left; the session watches for that. */
export class StageHandle {
  readonly session: JobId;
  readonly stage: ClientStage;

  constructor(session: JobId, stage: ClientStage) {
    this.session = session;
    this.stage = stage;
  }
}
