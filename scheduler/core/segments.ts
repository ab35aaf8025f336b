/**
 * A stage's results: segments [from, to) in order, each inline, stored or failed. A task is in at most one segment
 * (I1).
 */
import { invariant } from "../../proto/errors.js";
import { PackReader } from "../../proto/values/pack.js";
import type { HeldSegment } from "./events.js";

const digestBytes = 16;

/** What an object takes of a worker's store (worker/store/allocator.ts aligns to cache lines). */
export const storeBytes = (bytes: number): number => Math.max(64, Math.ceil(bytes / 64) * 64);

/** The part [from, to) of a segment, as a segment of its own. */
export function sliceSegment<S extends HeldSegment>(segment: S, from: number, to: number): S {
  return sliced(segment, from, to) as S;
}

function sliced(segment: HeldSegment, from: number, to: number): HeldSegment {
  if (segment.from === from && segment.to === to) return segment;
  invariant(
    from >= segment.from && to <= segment.to && from < to,
    `slice [${from}, ${to}) of segment [${segment.from}, ${segment.to})`,
  );
  const a = from - segment.from;
  const b = to - segment.from;
  switch (segment.r) {
    case "inline":
      return {
        ...segment,
        from,
        to,
        pack: PackReader.trusted(segment.pack).slice(a, b),
        ...(segment.digests ? { digests: segment.digests.slice(a * digestBytes, b * digestBytes) } : {}),
      };
    case "stored":
      return { ...segment, from, to, stored: segment.stored.slice(a, b) };
    case "failed":
      return { ...segment, from, to };
    case "chunk":
      return { ...segment, from, to, bytes: Math.round((segment.bytes * (b - a)) / (segment.to - segment.from)) };
  }
}

/** What a segment takes of the heap, about. */
export function heapBytesOf(segment: HeldSegment): number {
  if (segment.r === "inline") return 256 + segment.pack.byteLength + (segment.digests?.byteLength ?? 0);
  if (segment.r === "stored") return 256 + 200 * segment.stored.length;
  return segment.r === "failed" ? 512 : 160;
}

export class SegmentTable {
  readonly #segments: HeldSegment[] = [];
  /** Tasks whose results only workers hold (and the durable store). */
  storedTasks = 0;
  /** Bytes of those results, each rounded up as stores do. */
  storedBytes = 0;

  #count(segment: HeldSegment, sign: 1 | -1): void {
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
      if ((this.#segments[mid] as HeldSegment).to > task) high = mid;
      else low = mid + 1;
    }
    return low;
  }

  at(task: number): HeldSegment | undefined {
    const segment = this.#segments[this.#find(task)];
    return segment && segment.from <= task ? segment : undefined;
  }

  insert(segment: HeldSegment): void {
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
    const parts: HeldSegment[] = [];
    if (segment.from < task) parts.push(sliceSegment(segment, segment.from, task));
    if (task + 1 < segment.to) parts.push(sliceSegment(segment, task + 1, segment.to));
    this.#segments.splice(at, 1, ...parts);
    this.#count(segment, -1);
    for (const part of parts) this.#count(part, 1);
  }

  removeSegment(segment: HeldSegment): void {
    const at = this.#find(segment.from);
    invariant(this.#segments[at] === segment, `no such segment of tasks [${segment.from}, ${segment.to})`);
    this.#segments.splice(at, 1);
    this.#count(segment, -1);
  }

  /** Puts one segment in the place of those that are exactly [from, to); gives these. */
  replace(segment: HeldSegment): HeldSegment[] {
    const at = this.#find(segment.from);
    let end = at;
    while (end < this.#segments.length && (this.#segments[end] as HeldSegment).to <= segment.to) end++;
    const replaced = this.#segments.splice(at, end - at, segment);
    const whole = replaced[0]?.from === segment.from && replaced.at(-1)?.to === segment.to;
    invariant(
      whole && replaced.reduce((sum, one) => sum + one.to - one.from, 0) === segment.to - segment.from,
      `I1: tasks [${segment.from}, ${segment.to}) are not whole results`,
    );
    for (const one of replaced) this.#count(one, -1);
    this.#count(segment, 1);
    return replaced;
  }

  /** Segments that touch [from, to), in order; not cut to it. */
  *overlapping(from: number, to: number): IterableIterator<HeldSegment> {
    for (let at = this.#find(from); at < this.#segments.length; at++) {
      const segment = this.#segments[at] as HeldSegment;
      if (segment.from >= to) return;
      yield segment;
    }
  }

  [Symbol.iterator](): IterableIterator<HeldSegment> {
    return this.#segments.values();
  }
}
