/** A stage as its refs see it: what the session knows of it, and who waits for its tasks. */
import { VolleyError } from "../../proto/errors.js";
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

  /** Tasks whose refs were given back by their owner; all of them once the stage is. */
  #released: Set<number> | "all" | undefined;

  /** Throws INVALID_ARGUMENT when one of the tasks [from, to) was released. */
  assertHeld(from: number, to: number): void {
    const released = this.#released;
    if (released === undefined) return;
    for (let task = from; task < to; task++) {
      if (released !== "all" && !released.has(task)) continue;
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `task ${task} of stage ${this.index} was released: its value is not there any more; release refs after their last use`,
      );
    }
  }

  /** Its owner is done with tasks [from, to). True: with that, with every task of the stage. */
  release(from: number, to: number): boolean {
    if (this.#released === "all") return false;
    const released = this.#released ?? new Set();
    this.#released = released;
    if (to - from < this.count) for (let task = from; task < to; task++) released.add(task);
    if (to - from < this.count && released.size < this.count) return false;
    this.#released = "all";
    return true;
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
