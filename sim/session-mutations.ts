/** Mutations of the client's session: what is sent, told again, given back and asked for. */
import type { Edit, Mutation } from "./mutation.js";

const session = (file: string, find: string, put: string): Edit => ({ file: `session/${file}.js`, find, put });
const restarts = { schedulerCrashMs: 1_500 };
const losses = { network: { loss: 0.05, duplication: 0, reorder: 0, delayMs: 1 } };
const deaths = { workerCrashMs: 1_500 };

export const sessionMutants: Readonly<Record<string, Mutation>> = {
  "shown-results-not-told": {
    doc: "a scheduler that took over is not told of large results that were shown",
    area: "session",
    edits: [session("liveness", "state.restoring.queue.add(stage);", "{}")],
    faults: restarts,
  },
  "opening-counts-before-puts-are-told": {
    doc: "stages are sent to a scheduler that took over before it knows what they read of the client's",
    area: "session",
    edits: [session("liveness", "if (restoring.asked.size > 0) return;", "")],
    faults: { ...restarts, ...losses },
  },
  "older-epoch-believed": {
    doc: "answers and results of a deposed scheduler count",
    area: "session",
    edits: [session("epoch-watch", "if (epoch < this.#epoch && !this.#isFallen(nowMs)) return false;", "")],
    faults: { takeoverMs: 1_500 },
  },
  "sent-before-what-it-reads": {
    doc: "a stage is sent though the scheduler was not told of what it reads",
    area: "session",
    edits: [session("sending", 'when = "later"; if (read.state.s !== "settled") continue;', "continue;")],
    faults: restarts,
  },
  "results-never-asked-for": {
    doc: "heartbeats do not ask for results that are due",
    area: "session",
    edits: [session("heartbeat", "waiting.push(index);", "")],
    faults: losses,
  },
  "released-while-it-is-read": {
    doc: "a stage without refs is given back though an open stage reads it",
    area: "session",
    edits: [session("settling", "stage.readers > 0 ||", "")],
    faults: { ...deaths, ...restarts },
  },
  "unknown-stage-not-sent-again": {
    doc: "a stage that the scheduler says it does not know is left at that",
    area: "session",
    edits: [
      session(
        "sending",
        "failAll(ctx, stage, error); return; } queue(ctx.state, stage, open);",
        "failAll(ctx, stage, error); return; }",
      ),
    ],
    faults: losses,
  },
  "sent-before-its-put": {
    doc: "a stage does not wait for the puts that it reads",
    area: "session",
    edits: [session("sending", "open.uploads++;", "return;")],
  },
  "dropped-while-needed": {
    doc: "a put goes when one of those who need it does not any more",
    area: "session",
    edits: [session("needs", "if (put.needs > 0 || !isOurs(put)) return;", "if (!isOurs(put)) return;")],
  },
  "unseen-input-made-again": {
    doc: "a result that was read, and not shown, is made again, though another value may come of it",
    area: "session",
    edits: [
      session(
        "liveness",
        "for (const { stage, run } of readButUnseen(state.stages.values())) fail(ctx, stage, run, readUnseen);",
        "",
      ),
    ],
    faults: { ...restarts, network: { loss: 0.3, duplication: 0, reorder: 0.2, delayMs: 1 } },
  },
  "missing-put-not-put-again": {
    doc: "what the scheduler calls missing is not put again",
    area: "session",
    edits: [session("placing", "for (const id of ids) putAgain(ctx, id, false);", "")],
    faults: deaths,
  },
  "puts-without-generations": {
    doc: "the word that a put is not needed takes away the next put of the same value",
    area: "session",
    edits: [session("liveness", "bytes, generation, });", "bytes, generation: 1 });")],
  },
  "release-lost-with-its-beat": {
    doc: "what is given back is forgotten before the scheduler has said that it knows",
    area: "session",
    edits: [
      session(
        "heartbeat",
        'state.beating = { b: "asked" };',
        'state.beating = { b: "asked" }; state.released = []; state.dropped = [];',
      ),
    ],
    faults: losses,
  },
};
