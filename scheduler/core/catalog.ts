/**
 * Stages by the base of their objects. A base is of one stage, unless the same content was submitted more than once;
 * then there may be very many, and those that have results are found without looking through those that have none.
 */
import type { ObjectBase } from "../../proto/ids.js";

interface Shelf<S> {
  readonly stages: Set<S>;
  /** Those that have had results. */
  readonly made: Set<S>;
}

export class Catalog<S extends { readonly base: ObjectBase }> {
  readonly #shelves = new Map<ObjectBase, S | Shelf<S>>();
  readonly #hasResults: (stage: S) => boolean;

  constructor(hasResults: (stage: S) => boolean) {
    this.#hasResults = hasResults;
  }

  has(base: ObjectBase): boolean {
    return this.#shelves.has(base);
  }

  /** More than one stage has this base. */
  isShared(base: ObjectBase): boolean {
    const present = this.#shelves.get(base);
    return present !== undefined && isShelf(present) && present.stages.size > 1;
  }

  add(stage: S): void {
    const present = this.#shelves.get(stage.base);
    if (present === undefined) this.#shelves.set(stage.base, stage);
    else if (isShelf(present)) {
      present.stages.add(stage);
      if (this.#hasResults(stage)) present.made.add(stage);
    } else
      this.#shelves.set(stage.base, {
        stages: new Set([present, stage]),
        made: new Set([present, stage].filter((one) => this.#hasResults(one))),
      });
  }

  delete(stage: S): void {
    const present = this.#shelves.get(stage.base);
    if (present === stage) this.#shelves.delete(stage.base);
    else if (present !== undefined && isShelf(present)) {
      present.stages.delete(stage);
      present.made.delete(stage);
      if (present.stages.size === 0) this.#shelves.delete(stage.base);
    }
  }

  /** To be called when a stage has its first result. */
  addResult(stage: S): void {
    const present = this.#shelves.get(stage.base);
    if (present !== undefined && isShelf(present) && present.stages.has(stage)) present.made.add(stage);
  }

  holds(stage: S): boolean {
    const present = this.#shelves.get(stage.base);
    return present !== undefined && (isShelf(present) ? present.stages.has(stage) : present === stage);
  }

  /** Every stage of the base; the first is the oldest. */
  of(base: ObjectBase): Iterable<S> {
    const present = this.#shelves.get(base);
    return present === undefined ? [] : isShelf(present) ? present.stages : [present];
  }

  /** Those of the base that have had results. */
  made(base: ObjectBase): Iterable<S> {
    const present = this.#shelves.get(base);
    if (present === undefined) return [];
    return isShelf(present) ? present.made : this.#hasResults(present) ? [present] : [];
  }

  *[Symbol.iterator](): IterableIterator<[ObjectBase, Iterable<S>]> {
    for (const base of this.#shelves.keys()) yield [base, this.of(base)];
  }
}

const isShelf = <S extends object>(present: S | Shelf<S>): present is Shelf<S> => "made" in present;
