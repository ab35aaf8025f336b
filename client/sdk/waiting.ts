/**
 * What a beat asks for: the stages whose results are due, and of those that are settled in part only what is missing
 * (M5).
 */
import type { ClientRequestOf } from "../../proto/messages/client.js";
import type { ClientStage } from "./stage.js";

const stagesListedMax = 10_000;
/**
 * Runs of missing tasks named of one stage, and in all of a beat; further ones are asked for by later beats, when these
 * have come.
 */
const runsListedMax = 100;
const runsListedInAllMax = 10_000;

type Beat = ClientRequestOf<"beat">;

/** Stages of this opening that were sent before `sentBefore`: the others have had no time. */
export function waitingOf(
  stages: Iterable<ClientStage>,
  opening: number,
  sentBefore: number,
): { waiting: number[]; gaps: NonNullable<Beat["gaps"]> } {
  const waiting: number[] = [];
  const gaps: [number, number[]][] = [];
  let room = runsListedInAllMax;
  for (const stage of stages) {
    if (stage.complete || stage.sentIn !== opening || stage.sentAtMs >= sentBefore) continue;
    if (stage.results.settled > 0) {
      if (room <= 0) continue;
      const runs: number[] = [];
      for (const { from, to } of stage.results.open(0, stage.count)) {
        runs.push(from, to);
        if (runs.length >= 2 * runsListedMax) break;
      }
      room -= runs.length / 2;
      gaps.push([stage.index, runs]);
    }
    waiting.push(stage.index);
    if (waiting.length === stagesListedMax) break;
  }
  return { waiting, gaps };
}
