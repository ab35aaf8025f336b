/**
 * A stage of the session as the client sees it: its specification until every result is here (it may have to be sent
 * again, M1), what must happen before it can be sent, and its results.
 */
import type { WireError } from "../../proto/errors.js";
import { type JobId, type ObjectBase, stageBaseOf } from "../../proto/ids.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import { StageResults } from "./results.js";

export class ClientStage {
  readonly index: number;
  readonly session: JobId;
  /** Made at the flush, because a stage grows until then; undefined again once complete. */
  spec: StageSpec | undefined;
  /** What of the specification is kept when the stage is complete: enough to tell another scheduler of its results. */
  callee: Pick<StageSpec, "fn" | "name" | "options"> | undefined;
  /** Why no scheduler can be told of its results any more. */
  untold: WireError | undefined;
  /** Makes `spec`; given by who builds the stage, gone once it is built. */
  build: (() => StageSpec) | undefined;
  count = 0;
  /** Objects that must be in the cluster before the stage may be sent. */
  uploads = 0;
  /** Handles of the stages that this one reads: kept alive until it is complete. */
  reads: StageHandle[] = [];
  /** Tasks whose results were read by tasks whose results are here; of those that are not settled (shown-inputs.ts). */
  readUnseen: { readonly from: number; readonly to: number }[] = [];
  /** The opening of the session in which it was last sent; 0: never. */
  sentIn = 0;
  sentAtMs = 0;
  resends = 0;
  /** Called once, when it has ended. */
  onSettled: (() => void) | undefined;
  /** No ref is left; it is released when complete. */
  orphan = false;
  /** Set when a pure stage is built. */
  pureBase: ObjectBase | undefined;
  readonly results = new StageResults();

  constructor(session: JobId, index: number, build: () => StageSpec) {
    this.session = session;
    this.index = index;
    this.build = build;
  }

  /** Ends the stage's growth. */
  finish(): StageSpec | undefined {
    if (this.build) {
      this.spec = this.build();
      this.build = undefined;
      this.count = this.spec.count;
      this.results.setCount(this.count);
    }
    return this.spec;
  }

  /** The stage has ended: what made it is not needed any more. */
  settle(): void {
    if (this.spec) {
      const { fn, name, options } = this.spec;
      this.callee = { fn, ...(name === undefined ? {} : { name }), options };
    }
    this.spec = undefined;
    this.reads = [];
    this.readUnseen = [];
    this.onSettled?.();
    this.onSettled = undefined;
  }

  get complete(): boolean {
    return this.results.complete;
  }

  /** The base of its objects. Pure stages are built at once, so that theirs is known. */
  base(): ObjectBase {
    return this.pureBase ?? stageBaseOf(this.session, this.index);
  }

  fail(error: WireError): void {
    this.finish();
    this.results.accept({ r: "failed", stage: this.index, from: 0, to: this.count, error });
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
