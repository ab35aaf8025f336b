/** Refs one by one as their tasks end, in the order in which they do. */
import { VolleyError } from "../../proto/errors.js";
import { Timer } from "../../proto/timer.js";

/** Calls `ready` once when the ref has ended, or with what ends the wait; returns the way to stop. */
type WhenSettled<R> = (ref: R, ready: (failure?: Error) => void) => () => void;

/** Whoever stops reading early leaves no waiter behind. Throws TIMEOUT, DISCONNECTED, CLOSED. */
export async function* asCompleted<R>(
  refs: readonly R[],
  whenSettled: WhenSettled<R>,
  timeoutMs: number | undefined,
): AsyncGenerator<R, void, undefined> {
  const ended: number[] = [];
  let failure: Error | undefined;
  let wake: (() => void) | undefined;
  const stops = new Map<number, () => void>();
  const fail = (error: Error): void => {
    failure ??= error;
    wake?.();
  };
  refs.forEach((ref, i) => {
    const stop = whenSettled(ref, (error) => {
      stops.delete(i);
      if (error) fail(error);
      else {
        ended.push(i);
        wake?.();
      }
    });
    if (ended.at(-1) !== i) stops.set(i, stop);
  });
  const late = (): void => {
    const left = refs.length - ended.length;
    const text = `${left} of ${refs.length} refs had not ended after ${timeoutMs} ms; explain() says what they wait for`;
    fail(new VolleyError("TIMEOUT", text));
  };
  // After what has arrived already, as for every wait.
  const timer = timeoutMs === undefined ? undefined : new Timer(() => setImmediate(late), timeoutMs);
  try {
    for (let given = 0; given < refs.length; given++) {
      while (ended.length <= given) {
        if (failure) throw failure;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      yield refs[ended[given] as number] as R;
    }
  } finally {
    timer?.stop();
    for (const stop of stops.values()) stop();
  }
}
