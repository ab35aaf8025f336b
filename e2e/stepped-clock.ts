/**
 * Loaded into every process and thread of a cluster (`node --import`): their wall clock is off by the milliseconds in a
 * file, and moves when the file does, as it would for a person, NTP or a machine that was suspended. What is monotonic
 * stays as it is; threads and processes begun later have their origin off, too.
 */
import { readFileSync } from "node:fs";

const file = process.env.STEPPED_CLOCK_FILE ?? "";
const RealDate = Date;
const realOrigin = performance.timeOrigin;
let readAt = Number.NEGATIVE_INFINITY;
let offsetMs = 0;

function offset(): number {
  const now = performance.now();
  if (now - readAt < 20) return offsetMs;
  readAt = now;
  try {
    offsetMs = Number(readFileSync(file, "utf8"));
  } catch {
    // It is being written.
  }
  return offsetMs;
}

class SteppedDate extends RealDate {
  constructor(...args: [] | [string | number | Date]) {
    if (args.length === 0) super(SteppedDate.now());
    else super(...(args as [string | number | Date]));
  }
  static override now(): number {
    return RealDate.now() + offset();
  }
}

const atStart = offset();
globalThis.Date = SteppedDate as DateConstructor;
Object.defineProperty(performance, "timeOrigin", { get: () => realOrigin + atStart });
