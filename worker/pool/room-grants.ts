/**
 * How a slot's thread comes to room in the worker's store for its results: four cells of a channel. Only the agent
 * allocates; what it grants lies in the cells until the thread takes it, and a thread that finds none asks and waits.
 *
 *   none ─thread asks─► wanted ─agent─► granted or refused ─thread takes─► none
 *     └──agent, ahead of the thread──────► granted
 *
 * Offset and length are written by the agent while nothing is granted, and read by the thread while it is.
 */
const state = { none: 0, wanted: 1, granted: 2, refused: 3 } as const;

/** Of the cells, from the first on. */
const cell = { state: 0, offset: 1, bytes: 2, wanted: 3 } as const;
export const grantCells = 4;

const atomics = {
  load: Atomics.load,
  store: Atomics.store,
  compareExchange: Atomics.compareExchange,
  wait: Atomics.wait,
  notify: Atomics.notify,
};

export interface Place {
  readonly offset: number;
  readonly bytes: number;
}

export class RoomGrants {
  readonly #cells: Int32Array;

  constructor(cells: Int32Array) {
    this.#cells = cells;
  }

  // ---- agent's side

  /** What the thread waits for; 0: it does not. */
  get wantedBytes(): number {
    return atomics.load(this.#cells, cell.state) === state.wanted ? atomics.load(this.#cells, cell.wanted) >>> 0 : 0;
  }

  /** Nothing lies there for the thread, and it waits for nothing. */
  get isEmpty(): boolean {
    return atomics.load(this.#cells, cell.state) === state.none;
  }

  /** False: the thread has asked meanwhile, or still has the grant before. The place is not given then. */
  grant({ offset, bytes }: Place, asked: boolean): boolean {
    const from = asked ? state.wanted : state.none;
    if (atomics.load(this.#cells, cell.state) !== from) return false;
    atomics.store(this.#cells, cell.offset, offset | 0);
    atomics.store(this.#cells, cell.bytes, bytes | 0);
    return this.#answer(from, state.granted);
  }

  refuse(): void {
    this.#answer(state.wanted, state.refused);
  }

  #answer(from: number, to: number): boolean {
    if (atomics.compareExchange(this.#cells, cell.state, from, to) !== from) return false;
    atomics.notify(this.#cells, cell.state);
    return true;
  }

  // ---- thread's side

  /** The next grant; waits for it. `wake` tells the agent. undefined: there is no room for so much. */
  take(bytes: number, wake: () => void): Place | undefined {
    for (;;) {
      const at = atomics.load(this.#cells, cell.state);
      if (at === state.none) {
        atomics.store(this.#cells, cell.wanted, bytes | 0);
        if (atomics.compareExchange(this.#cells, cell.state, state.none, state.wanted) === state.none) wake();
      } else if (at === state.wanted) atomics.wait(this.#cells, cell.state, state.wanted, 1000);
      else {
        const place = {
          offset: atomics.load(this.#cells, cell.offset) >>> 0,
          bytes: atomics.load(this.#cells, cell.bytes) >>> 0,
        };
        atomics.store(this.#cells, cell.state, state.none);
        return at === state.granted ? place : undefined;
      }
    }
  }
}
