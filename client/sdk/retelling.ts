/**
 * Tells a scheduler that does not know them (it restarted, or gave the session up) of stages of which this client was
 * shown results: those results stay, and only what is open is executed (I1 as the client sees it). Large results are
 * named; the workers that hold them tell the scheduler where.
 *
 * R1 Stages are told in the order of their indexes, so that what one reads is known before it.
 * R2 Every page is repeated until it is answered; the order and the answers make it safe to begin again at any point.
 */
import {
  type ErrorCode,
  isVolleyError,
  toWireError,
  VolleyError,
  type WireError,
  wireErrorBytes,
} from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";
import type { ClientRequestOf } from "../../proto/messages/client.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import type { Requests } from "./requests.js";
import { specBytes } from "./spec.js";
import type { ClientStage } from "./stage.js";

type Resumed = ClientRequestOf<"resume">["stages"][number];

interface Page {
  readonly stages: Resumed[];
  /** Stages of which this page says the last. */
  readonly ends: ClientStage[];
}

export interface RetellingOptions {
  readonly requests: Requests;
  readonly session: ClientRequestOf<"resume">["session"];
  readonly client: ClientRequestOf<"resume">["client"];
  /** Counts the openings of the session; what was told in an earlier one is void. */
  opening(): number;
  /** The scheduler knows the stage now. */
  onTold(stage: ClientStage): void;
  /** It cannot be told of the stage. */
  onRefused(stage: ClientStage, error: WireError): void;
  /** It does not know the session (any more). */
  onLost(): void;
  /** Everything that was to be told has been. */
  onIdle(): void;
}

/** Faults of the way there: the next turn tries again. */
const passing: ReadonlySet<ErrorCode> = new Set([
  "NO_SCHEDULER",
  "DISCONNECTED",
  "TIMEOUT",
  "STALE_EPOCH",
  "FENCED",
  "NO_LISTENER",
]);

export class Retelling {
  readonly #options: RetellingOptions;
  readonly #queue = new Set<ClientStage>();
  #running = false;

  constructor(options: RetellingOptions) {
    this.#options = options;
  }

  get pending(): number {
    return this.#queue.size;
  }

  has(stage: ClientStage): boolean {
    return this.#queue.has(stage);
  }

  add(stage: ClientStage): void {
    this.#queue.add(stage);
  }

  /** Forgets what was to be told: the session is opened anew, and who is to be told of is chosen again. */
  clear(): void {
    this.#queue.clear();
  }

  /** Tells what there is to tell, unless it is doing so. Never rejects. */
  async run(): Promise<void> {
    if (this.#running || this.#queue.size === 0) return;
    this.#running = true;
    try {
      while (this.#queue.size > 0) {
        const opening = this.#options.opening();
        const stages = [...this.#queue].sort((a, b) => a.index - b.index);
        for (const page of pagesOf(stages)) {
          if (!(await this.#tell(page))) return;
          if (opening !== this.#options.opening()) break;
          for (const stage of page.ends) if (this.#queue.delete(stage)) this.#options.onTold(stage);
        }
      }
    } finally {
      this.#running = false;
    }
    this.#options.onIdle();
  }

  /** False: not now. */
  async #tell({ stages, ends }: Page): Promise<boolean> {
    const { requests, session, client } = this.#options;
    try {
      await requests.ask({ t: "resume", session, client, stages }, "ok");
      return true;
    } catch (error) {
      const failure = isVolleyError(error) ? error : new VolleyError("INTERNAL", String(error), { cause: error });
      if (failure.code === "JOB_NOT_FOUND") this.#options.onLost();
      if (failure.code === "JOB_NOT_FOUND" || failure.code === "CLOSED" || passing.has(failure.code)) return false;
      // One that is refused must not keep the others from being told.
      if (stages.length > 1) {
        for (const page of split({ stages, ends })) if (!(await this.#tell(page))) return false;
        return true;
      }
      const refused = ends[0] ?? [...this.#queue].find((stage) => stage.index === stages[0]?.spec.index);
      if (refused && this.#queue.delete(refused)) this.#options.onRefused(refused, toWireError(failure));
      return true;
    }
  }
}

function split({ stages, ends }: Page): Page[] {
  return stages.map((one) => ({ stages: [one], ends: ends.filter((stage) => stage.index === one.spec.index) }));
}

/** Of a stage that has ended, what is needed to name it; its arguments are gone. */
function specOf(stage: ClientStage): StageSpec {
  if (stage.spec) return stage.spec;
  const { fn, name, options } = stage.callee as NonNullable<ClientStage["callee"]>;
  return { index: stage.index, ...(name === undefined ? {} : { name }), fn, count: stage.count, args: [], options };
}

function* pagesOf(stages: readonly ClientStage[]): IterableIterator<Page> {
  let page: Page = { stages: [], ends: [] };
  let bytes = 0;
  for (const stage of stages) {
    const spec = specOf(stage);
    const head = specBytes(spec);
    const settled = stage.complete ? { spec: { ...spec, args: [] }, base: stage.base() } : { spec };
    let segments: ResultSegment[] = [];
    const close = (last: boolean): void => {
      page.stages.push({ ...settled, segments, last });
      if (last) page.ends.push(stage);
      segments = [];
    };
    bytes += head;
    for (const segment of stage.results.segments(stage.index, limits.messageBytesMax / 2)) {
      const size = segmentBytes(segment);
      if (bytes + size > limits.messageBytesMax && (segments.length > 0 || page.stages.length > 0)) {
        if (segments.length > 0) close(false);
        yield page;
        page = { stages: [], ends: [] };
        bytes = head;
      }
      segments.push(segment);
      bytes += size;
    }
    close(true);
  }
  if (page.stages.length > 0) yield page;
}

function segmentBytes(segment: ResultSegment): number {
  if (segment.r === "inline") return 96 + segment.pack.byteLength;
  if (segment.r === "stored") return 64 + 64 * segment.stored.length;
  return 256 + wireErrorBytes(segment.error);
}
