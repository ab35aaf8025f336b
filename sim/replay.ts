/**
 * A capture of a scheduler (scheduler/shell/capture.ts) run through the core again: the same events at the same times
 * must give the same commands. Whatever happened in production can so be looked at step by step.
 */
import { parseArgs } from "node:util";
import type { Epoch } from "../proto/ids.js";
import { causeText } from "../scheduler/core/cause.js";
import type { Command } from "../scheduler/core/events.js";
import { checkInvariants, type State } from "../scheduler/core/index.js";
import { lineText, Stories, type StoryLine } from "../scheduler/core/stories.js";
import { startOf } from "../scheduler/shell/capture.js";
import { type CaptureFrame, digestsOf, readCapture } from "../scheduler/shell/capture-format.js";
import { realCore } from "../scheduler/shell/real-core.js";

export const replayHelp = `  replay FILE    run a capture of a scheduler through its core again; exit 1 at the first difference
    --until N    up to the event of this number, as log lines and stories name it
    --task T     the story of a task, JOB/STAGE/TASK; --lease L of a lease, --worker W of a worker
    --check N    check the invariants after every N-th event (default 1 up to 10,000 events, then 1,000)
`;

/** Of the first event that the core does not take as it did. */
export interface Difference {
  readonly seq: number;
  readonly cause: string;
  readonly what: string;
}

export interface Replay {
  readonly epoch: number;
  readonly events: number;
  readonly commands: number;
  /** Why the capture ended; undefined: it was cut off. */
  readonly end: string | undefined;
  readonly difference: Difference | undefined;
  readonly state: State;
}

const linesKept = 1_000_000;
const checkedAllMax = 10_000;
const checkEvery = 1_000;

type Head = Extract<CaptureFrame, { f: "head" }>;

export async function replay(
  file: string,
  options: { until?: number | undefined; check?: number | undefined } = {},
): Promise<Replay> {
  const { until = Number.POSITIVE_INFINITY } = options;
  const items: unknown[] = [];
  let head: Head | undefined;
  let state: State | undefined;
  let events = 0;
  let commands = 0;
  let given: Command[] = [];
  let end: string | undefined;
  let difference: Difference | undefined;
  for await (const frame of readCapture(file)) {
    if (frame.f === "head") head = frame;
    else if (frame.f === "item") items.push(frame.item);
    else if (frame.f === "end") end = frame.why;
    else if (frame.f === "event") {
      if (frame.seq > until) break;
      state ??= begin(head as Head, items);
      events++;
      try {
        given = realCore.step(state, frame.event, frame.nowMs);
        if (events % (options.check ?? (events > checkedAllMax ? checkEvery : 1)) === 0) checkInvariants(state);
      } catch (error) {
        difference = differenceOf(state, frame.seq, `the core fails: ${(error as Error).message}`);
        break;
      }
    } else if (state) {
      commands += given.length;
      const what = compare(given, frame.digests);
      if (what !== undefined) {
        difference = differenceOf(state, events, what);
        break;
      }
    }
  }
  state ??= begin(head as Head, items);
  if (!difference) checkInvariants(state);
  return { epoch: state.epoch, events, commands, end, difference, state };
}

function begin({ epoch, record }: Head, items: readonly unknown[]): State {
  const state = startOf(realCore, items, epoch as Epoch, record);
  state.stories = new Stories(linesKept);
  return state;
}

const differenceOf = (state: State, seq: number, what: string): Difference => ({
  seq,
  cause: causeText(state.stories.cause),
  what,
});

function compare(given: readonly Command[], captured: Uint8Array): string | undefined {
  const found = Buffer.from(digestsOf(given));
  const expected = Buffer.from(captured);
  if (found.equals(expected)) return undefined;
  const count = captured.byteLength / 4;
  for (let at = 0; at < Math.min(given.length, count); at++)
    if (found.readUInt32LE(4 * at) !== expected.readUInt32LE(4 * at))
      return `command ${at} of ${count} is another one: ${commandText(given[at])}`;
  return `${given.length} commands, ${count} were captured: the last is ${commandText(given.at(-1))}`;
}

const commandText = (command: Command | undefined): string =>
  JSON.stringify(command ?? "none", (_, value: unknown) =>
    value instanceof Uint8Array ? `${value.byteLength} bytes` : value,
  ).slice(0, 500);

/** `npm run sim -- replay FILE …`: the exit status. */
export async function runReplay(args: string[], print: (line: string) => void): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      until: { type: "string" },
      check: { type: "string" },
      task: { type: "string" },
      lease: { type: "string" },
      worker: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new Error(`expected one capture\n\n${replayHelp}`);
  const { state, ...found } = await replay(file, {
    until: numberOf("until", values.until),
    check: numberOf("check", values.check),
  });
  const story = storyOf(state, values);
  if (values.json) print(JSON.stringify({ ...found, ...(story ? { story: story.map(plain) } : {}) }));
  else {
    for (const line of story ?? []) print(`${timeOf(line.atMs)} ${lineText(line)}`);
    const { events, commands, difference, end } = found;
    print(`epoch ${found.epoch}: ${events} events, ${commands} commands, ${end ?? "cut off"}`);
    print(difference ? `DIFFERENCE at ${difference.cause}: ${difference.what}` : "the same commands as were captured");
  }
  return found.difference ? 1 : 0;
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${name} is ${JSON.stringify(text)}; expected a whole number from 1`);
  return value;
}

function storyOf(
  { stories }: State,
  { task, lease, worker }: { task?: string | undefined; lease?: string | undefined; worker?: string | undefined },
): StoryLine[] | undefined {
  if (lease !== undefined) return stories.ofLease(lease);
  if (worker !== undefined) return stories.ofWorker(worker);
  if (task === undefined) return undefined;
  const [, job, stage, index] = /^(.+)\/(\d+)\/(\d+)$/.exec(task) ?? [];
  if (job === undefined) throw new Error(`--task is ${JSON.stringify(task)}; expected JOB/STAGE/TASK`);
  return stories.ofTask(job, Number(stage), Number(index));
}

const timeOf = (atMs: number): string => new Date(atMs).toISOString().slice(11, 23);
const plain = (line: StoryLine): object => ({ ...line, cause: causeText(line.cause) });
