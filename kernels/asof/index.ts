/** As-of joins, on one axis of time and on two. */
export { asofJoin, openAsofJoin } from "./join.js";
export { asofPit, openPit } from "./pit.js";
