/**
 * Milliseconds that only ever go forward, the same in every thread of the process. Not performance.timeOrigin +
 * performance.now(): the origin is each thread's own reading of the wall clock at its start, which a step of that clock
 * in between moves.
 */
const now = performance.now.bind(performance);
const [seconds, nanoseconds] = process.hrtime();

/** What is to be added to this thread's performance.now(). */
export const monotonicOriginMs = seconds * 1e3 + nanoseconds / 1e6 - now();
export const monotonicMs = (): number => monotonicOriginMs + now();
