/**
 * How a worker process stands with the scheduler. It changes here alone, by the steps of transitions.ts. One that is
 * silent or superseded is in no table of workers: what is remembered of it is its `Departed` and its `Silence`.
 */
import type { Drain } from "./drain-record.js";
import { checkStep, workerMachine } from "./transitions.js";

export type Standing =
  | { readonly w: "active" }
  | { readonly w: "draining"; readonly drain: Drain }
  | { readonly w: "silent" }
  | { readonly w: "superseded" };

interface Standed {
  readonly id: string;
  standing: Standing;
}

export const active: Standing = { w: "active" };

export function setStanding(worker: Standed, next: Standing): void {
  checkStep(workerMachine, `worker ${worker.id}`, worker.standing.w, next.w);
  worker.standing = next;
}

/** It takes no new work, and keeps nothing. */
export const isDraining = ({ standing }: Standed): boolean => standing.w === "draining";

export const drainOf = ({ standing }: Standed): Drain | undefined =>
  standing.w === "draining" ? standing.drain : undefined;
