/**
 * How a rolling loop goes over its columns: two at a time, in chunks, each by the short form of what it computes where
 * no value is missing, and bar by bar where one is.
 *
 * What loops differ in is a class without state whose methods are the driver's questions. It is a type argument, so
 * every export has a copy of the driver with all of it inlined; methods that are not there have the usual answer.
 * Classes do not inherit: a method that is overridden is found at run time, in an object, and there is none.
 *
 *   isFull(kind, state, window)   may the short form follow on what the state holds?
 *   runClean(kind, sa, sb, window, a, b, at, rows, oa, ob, scratch)   the short form; false, and nothing changed, if it
 *                                 met a value that is missing
 *   runOne(kind, state, window, a, at, rows, oa)   bar by bar
 *   clean(a, b, at, rows)         how many bars the short form can do; usually those that are finite numbers
 *   runTried(…)                   what is run on a chunk that nobody has looked at; usually runClean
 *   isTried(state)                is that done now? usually yes
 *   begin(window, scratch)        before the first chunk
 *   most(window), untilNext(state, window)   bars of a chunk, and of a run bar by bar
 *
 * `sa` and `sb` are the states of the two applications, the same where an odd one is left. `a` and `b` are their parts
 * of the table of inputs, `oa` and `ob` of that of outputs; `at` is how far into the columns, in bytes. `kind` is a
 * constant of the export, whatever it means to the loop.
 */
import { get, pointer } from "./cells.ts";
import { cleanRows } from "./clean.ts";
import { chunkRows, worthwhile } from "./lanes.ts";

/** `ins` and `outs`: columns of one application. */
// @ts-ignore: decorator
@inline
export function eachPair<L>(
  kind: i32,
  ins: i32,
  outs: i32,
  count: i32,
  states: usize,
  inputs: usize,
  rows: i32,
  outputs: usize,
  scratch: usize,
): void {
  for (let c = 0; c < count; c += 2) {
    const d = min(c + 1, count - 1);
    const a = inputs + ((<usize>(c * ins)) << 2);
    const b = inputs + ((<usize>(d * ins)) << 2);
    const oa = outputs + ((<usize>(c * outs)) << 2);
    const ob = outputs + ((<usize>(d * outs)) << 2);
    runPair<L>(kind, pointer(states, c), pointer(states, d), a, b, rows, oa, ob, scratch);
  }
}

// @ts-ignore: decorator
@inline
function runPair<L>(
  kind: i32,
  sa: usize,
  sb: usize,
  a: usize,
  b: usize,
  rows: i32,
  oa: usize,
  ob: usize,
  scratch: usize,
): void {
  const loop = changetype<L>(0);
  const window = <i32>get(sa, 0);
  let most = max(chunkRows, window);
  if (isDefined(loop.most)) most = loop.most(window);
  if (isDefined(loop.begin)) loop.begin(window, scratch);
  let at: usize = 0;
  /** Chunks to go before one is run without a look at it first. */
  let pause = 0;
  while (rows > 0) {
    let n = min(rows, most);
    const full = loop.isFull(kind, sa, window) && loop.isFull(kind, sb, window) && get(sa, 2) == get(sb, 2);
    let tried = full && pause == 0 && worthwhile(n, window);
    if (isDefined(loop.isTried)) tried = tried && loop.isTried(sa);
    let done = false;
    if (tried) {
      if (isDefined(loop.runTried)) done = loop.runTried(kind, sa, sb, window, a, b, at, n, oa, ob, scratch);
      else done = loop.runClean(kind, sa, sb, window, a, b, at, n, oa, ob, scratch);
    }
    pause = tried && !done ? 4 : max(pause - 1, 0);
    let clean = 0;
    if (full && !done) {
      if (isDefined(loop.clean)) clean = loop.clean(a, b, at, n);
      else clean = cleanRows(pointer(a, 0) + at, pointer(b, 0) + at, n);
    }
    if (done) {
      // Nothing is left to do.
    } else if (worthwhile(clean, window)) {
      n = clean;
      loop.runClean(kind, sa, sb, window, a, b, at, n, oa, ob, scratch);
    } else {
      if (isDefined(loop.untilNext)) n = min(rows, loop.untilNext(sa, window));
      else n = min(rows, window - <i32>get(sa, 2));
      loop.runOne(kind, sa, window, a, at, n, oa);
      if (sb != sa) loop.runOne(kind, sb, window, b, at, n, ob);
    }
    rows -= n;
    at += (<usize>n) << 3;
  }
}
