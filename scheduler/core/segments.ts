/** A stage's results: segments [from, to) in order, each inline, stored or failed. A task is in at most one segment (I1). */
import { invariant } from "../../proto/errors.js";
import type { ResultSegment } from "../../proto/messages.js";
import { PackReader } from "../../proto/pack.js";

const digestBytes = 16;

/** What an object takes of a worker's store (worker/store/allocator.ts aligns to cache lines). */
export const storeBytes = (bytes: number): number => Math.max(64, Math.ceil(bytes / 64) * 64);

/** The part [from, to) of a segment, as a segment of its own. */
export function sliceSegment(segment: ResultSegment, from: number, to: number): ResultSegment {
  if (segment.from === from && segment.to === to) return segment;
  invariant(from >= segment.from && to <= segment.to && from < to, `slice [${from}, ${to}) of segment [${segment.from}, ${segment.to})`);
  const a = from - segment.from;
  const b = to - segment.from;
  switch (segment.r) {
    case "inline":
      return {
        ...segment,
        from,
        to,
        pack: new PackReader(segment.pack).slice(a, b),
        ...(segment.digests ? { digests: segment.digests.slice(a * digestBytes, b * digestBytes) } : {}),
      };
    case "stored":
      return { ...segment, from, to, stored: segment.stored.slice(a, b) };
    case "failed":
      return { ...segment, from, to };
  }
}

export class SegmentTable {
  readonly #segments: ResultSegment[] = [];
  /** Tasks whose results only workers hold (and the durable store). */
  storedTasks = 0;
  /** Bytes of those results, each rounded up as stores do. */
  storedBytes = 0;

  #count(segment: ResultSegment, sign: 1 | -1): void {
    if (segment.r !== "stored") return;
    this.storedTasks += sign * segment.stored.length;
    for (const { bytes } of segment.stored) this.storedBytes += sign * storeBytes(bytes);
  }

  get count(): number {
    return this.#segments.length;
  }

  #find(task: number): number {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((this.#segments[mid] as ResultSegment).to > task) high = mid;
      else low = mid + 1;
    }
    return low;
  }

  at(task: number): ResultSegment | undefined {
    const segment = this.#segments[this.#find(task)];
    return segment && segment.from <= task ? segment : undefined;
  }

  insert(segment: ResultSegment): void {
    const at = this.#find(segment.from);
    const next = this.#segments[at];
    invariant(!next || next.from >= segment.to, `I1: a second result for tasks [${segment.from}, ${segment.to})`);
    this.#count(segment, 1);
    if (at === this.#segments.length) this.#segments.push(segment);
    else this.#segments.splice(at, 0, segment);
  }

  /** Takes one task's result out (its object was lost). */
  remove(task: number): void {
    const at = this.#find(task);
    const segment = this.#segments[at];
    if (!segment || segment.from > task) return;
    const parts: ResultSegment[] = [];
    if (segment.from < task) parts.push(sliceSegment(segment, segment.from, task));
    if (task + 1 < segment.to) parts.push(sliceSegment(segment, task + 1, segment.to));
    this.#segments.splice(at, 1, ...parts);
    this.#count(segment, -1);
    for (const part of parts) this.#count(part, 1);
  }

  removeSegment(segment: ResultSegment): void {
    const at = this.#find(segment.from);
    invariant(this.#segments[at] === segment, `no such segment of tasks [${segment.from}, ${segment.to})`);
    this.#segments.splice(at, 1);
    this.#count(segment, -1);
  }

  /** Segments that touch [from, to), in order; not cut to it. */
  *overlapping(from: number, to: number): IterableIterator<ResultSegment> {
    for (let at = this.#find(from); at < this.#segments.length; at++) {
      const segment = this.#segments[at] as ResultSegment;
      if (segment.from >= to) return;
      yield segment;
    }
  }

  [Symbol.iterator](): IterableIterator<ResultSegment> {
    return this.#segments.values();
  }
}
