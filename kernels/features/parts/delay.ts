/** The value of some bars ago. State at `at`: 0 bars, 1 place in the ring, then the ring, NaN before the first bar. */
const head = 2;

export const delayRoom = (bars: number): number => head + bars;

export function openDelay(state: Float64Array, at: number, bars: number): void {
  state[at] = bars;
  state.fill(Number.NaN, at + head, at + head + bars);
}

/** Takes the next value and returns the one of `bars` ago; with 0 bars the value itself. */
export function pushDelay(state: Float64Array, at: number, x: number): number {
  const bars = state[at] as number;
  if (bars === 0) return x;
  const place = state[at + 1] as number;
  const slot = at + head + place;
  const old = state[slot] as number;
  state[slot] = x;
  state[at + 1] = place + 1 === bars ? 0 : place + 1;
  return old;
}
