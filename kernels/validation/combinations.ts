/** Choices of k of n, exactly counted. */
import { VolleyError } from "../../proto/errors.js";

/** C(n, k); exact while it is a safe integer. */
export function binomial(n: number, k: number): number {
  let result = 1;
  for (let i = 1; i <= Math.min(k, n - k); i++) result = (result * (n - i + 1)) / i;
  return k < 0 || k > n ? 0 : Math.round(result);
}

/** All of them in lexicographic order, as itertools.combinations. Throws TOO_LARGE above `max`. */
export function choices(n: number, k: number, max: number): number[][] {
  const count = binomial(n, k);
  if (count > max)
    throw new VolleyError(
      "TOO_LARGE",
      `${k} of ${n} can be chosen in ${count} ways, over the limit of ${max}; take fewer groups`,
    );
  const all: number[][] = [];
  const chosen = Array.from({ length: k }, (_, i) => i);
  for (let i = 0; i < count; i++) {
    all.push([...chosen]);
    let place = k - 1;
    while (place >= 0 && chosen[place] === n - k + place) place--;
    if (place < 0) break;
    chosen[place] = (chosen[place] as number) + 1;
    for (let j = place + 1; j < k; j++) chosen[j] = (chosen[j - 1] as number) + 1;
  }
  return all;
}
