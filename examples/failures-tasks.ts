/** What failures.ts runs on the cluster: functions that go wrong. */
import { taskContext } from "volley";

export function checked(price: number): number {
  if (!(price > 0)) throw new RangeError(`a price must be positive, got ${price}`);
  return Math.log(price);
}

/** Fails in its first attempts. */
export function unreliable(failures: number): string {
  const { attempt } = taskContext();
  if (attempt <= failures) throw new Error(`attempt ${attempt} failed`);
  return `attempt ${attempt} succeeded`;
}

export function endless(): never {
  for (;;);
}
