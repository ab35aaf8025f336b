/** As-of joins, on one axis of time and on two. */
import { asofJoin } from "./join.js";
import { asofPit } from "./pit.js";

export { openAsofJoin } from "./join.js";
export { openPit } from "./pit.js";

export const asofKernels = [asofJoin, asofPit] as const;
