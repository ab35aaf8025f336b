/**
 * The joins the slow and obvious way, for tests: every right row is looked at for every left row. Times are integers of
 * any size.
 */

export interface OracleRow {
  /** null: a null in one of the keys. */
  readonly key: string | null;
  readonly time: bigint | null;
}

export interface OracleFact {
  readonly key: string | null;
  readonly event: bigint | null;
  readonly known: bigint | null;
  /** From when the fact can be used; absent: from `known` on. */
  readonly visible?: bigint | null;
}

export interface OracleOptions {
  readonly direction: "backward" | "forward" | "nearest";
  readonly exact: boolean;
  readonly ties: "last" | "first" | "adjacent";
  readonly midway: "earlier" | "later";
  readonly tolerance: bigint | undefined;
}

const abs = (value: bigint): bigint => (value < 0n ? -value : value);

/** Index of the right row for every left row, -1 for none. */
export function naiveJoin(
  left: readonly OracleRow[],
  right: readonly OracleRow[],
  { direction, exact, ties, midway, tolerance }: OracleOptions,
): number[] {
  return left.map(({ key, time: at }) => {
    let best = -1;
    right.forEach((row, index) => {
      const { time } = row;
      if (key === null || at === null || time === null || row.key !== key) return;
      if (time === at && !exact) return;
      if ((direction === "backward" && time > at) || (direction === "forward" && time < at)) return;
      if (tolerance !== undefined && abs(time - at) > tolerance) return;
      if (best < 0) {
        best = index;
        return;
      }
      const held = right[best]?.time as bigint;
      if (time === held) {
        const looksBack = direction === "backward" || (direction === "nearest" && time <= at);
        if (ties === "last" || (ties === "adjacent" && looksBack)) best = index;
      } else if (
        abs(time - at) < abs(held - at) ||
        (abs(time - at) === abs(held - at) && time < held === (midway === "earlier"))
      )
        best = index;
    });
    return best;
  });
}

/** Index of the fact for every left row, -1 for none. */
export function naivePit(
  left: readonly OracleRow[],
  facts: readonly OracleFact[],
  maxAge: bigint | undefined,
): number[] {
  return left.map(({ key, time: at }) => {
    let best = -1;
    facts.forEach((fact, index) => {
      const { event, known } = fact;
      const visible = fact.visible === undefined ? known : fact.visible;
      if (key === null || at === null || event === null || known === null || visible === null || fact.key !== key)
        return;
      if (event > at || visible > at) return;
      const held = facts[best];
      if (!held || event > (held.event as bigint) || (event === held.event && known >= (held.known as bigint)))
        best = index;
    });
    const event = facts[best]?.event;
    return maxAge !== undefined && typeof event === "bigint" && at !== null && at - event > maxAge ? -1 : best;
  });
}
