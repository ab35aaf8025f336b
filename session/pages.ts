/** Stages with what was shown of them, as messages tell them to a scheduler that does not know them. */
import { wireErrorBytes } from "../proto/errors.js";
import { limits } from "../proto/limits.js";
import type { ClientRequestOf } from "../proto/messages/client.js";
import type { ResultSegment } from "../proto/messages/results.js";
import type { StageSpec } from "../proto/messages/stage.js";
import { specBytes } from "./sending.js";
import type { Page, StageRecord } from "./state.js";

type Resumed = ClientRequestOf<"resume">["stages"][number];

/** Of a stage that has ended, what is needed to name it; its arguments are gone. */
function specOf({ index, count, state }: StageRecord): StageSpec | undefined {
  if (state.s === "open") return state.spec;
  if (state.s === "growing" || !state.callee) return undefined;
  const { fn, name, options } = state.callee;
  return { index, ...(name === undefined ? {} : { name }), fn, count, args: [], options };
}

function segmentBytes(segment: ResultSegment): number {
  if (segment.r === "inline") return 96 + segment.pack.byteLength;
  if (segment.r === "stored") return 64 + 64 * segment.stored.length;
  return 256 + wireErrorBytes(segment.error);
}

export function* pagesOf(stages: readonly StageRecord[]): IterableIterator<Page> {
  let page: { stages: Resumed[]; ends: StageRecord[] } = { stages: [], ends: [] };
  let bytes = 0;
  for (const stage of stages) {
    const spec = specOf(stage);
    if (!spec) continue;
    const head = specBytes(spec);
    const settled = stage.state.s === "settled" ? { spec: { ...spec, args: [] }, base: stage.base } : { spec };
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

/** The same, a stage a page. */
export const splitPage = ({ stages, ends }: Page): Page[] =>
  stages.map((one) => ({ stages: [one], ends: ends.filter((stage) => stage.index === one.spec.index) }));
