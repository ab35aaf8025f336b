/** How often each kind of misfortune strikes, as the seed draws it. */
import type { NetworkFaults } from "./network.js";
import type { Random } from "./random.js";

/** What the work is like. */
export interface WorkRates {
  /** Part of the stages that are not what they say: declared pure and not, or the death of whoever executes them. */
  readonly badWork: number;
  /** Part of the stages whose tasks take seconds. */
  readonly slowWork: number;
  /** Part of the stages that many graphs have in common. */
  readonly commonWork: number;
  /** Part of the functions that give something else at every execution, and say so. */
  readonly restlessWork: number;
}

export interface FaultRates extends WorkRates {
  readonly untilMs: number;
  /** Mean time between misfortunes of each kind; Infinity: never. */
  readonly workerCrashMs: number;
  readonly workerDrainMs: number;
  readonly workerCutMs: number;
  readonly schedulerCrashMs: number;
  readonly takeoverMs: number;
  readonly schedulerCutMs: number;
  readonly clientCutMs: number;
  readonly workerPauseMs: number;
  readonly schedulerPauseMs: number;
  readonly clientPauseMs: number;
  readonly clientCrashMs: number;
  /** The broker is away, and the disk with it. */
  readonly outageMs: number;
  /** Chance that a worker that died is started again at once under its own name. */
  readonly sameName: number;
  /** How far the wall clock of a machine may be off when a scheduler starts. */
  readonly clockStepMs: number;
  /** Chances that an append is refused, and that its answer does not come. */
  readonly appendRefusal: number;
  readonly appendSilence: number;
  /** Chance that writing or deleting a blob fails, or seems to. */
  readonly blobRefusal: number;
  /** What of a worker's object store is taken for good: with much of it, copies have to go and come back. */
  readonly ballastBytes: number;
  readonly network: NetworkFaults;
}

export function randomFaults(random: Random): FaultRates {
  const long = random.chance(0.04);
  const untilMs = long ? random.between(100_000, 400_000) : random.between(3_000, 30_000);
  const calm = random.chance(0.15);
  const rate = (chance: number, from: number, to: number): number =>
    !calm && random.chance(chance) ? random.between(from, to) : Number.POSITIVE_INFINITY;
  const network = (chance: number, most: number): number => (!calm && random.chance(chance) ? random.unit() * most : 0);
  return {
    untilMs,
    workerCrashMs: rate(0.5, 1_500, 12_000),
    workerDrainMs: rate(0.3, 2_000, 12_000),
    workerCutMs: rate(0.35, 3_000, 15_000),
    schedulerCrashMs: rate(0.4, 1_500, 12_000),
    takeoverMs: rate(0.25, 3_000, 15_000),
    schedulerCutMs: rate(0.15, 4_000, 15_000),
    clientCutMs: rate(0.2, 4_000, 15_000),
    workerPauseMs: rate(0.3, 3_000, 15_000),
    schedulerPauseMs: rate(0.2, 4_000, 15_000),
    clientPauseMs: rate(0.2, 4_000, 20_000),
    clientCrashMs: rate(0.15, 4_000, 30_000),
    outageMs: rate(long ? 0.7 : 0.2, 4_000, 20_000),
    sameName: random.chance(0.4) ? 0.7 : 0,
    clockStepMs: random.chance(0.3) ? 8 * 3_600_000 : 0,
    appendRefusal: !calm && random.chance(0.15) ? 0.1 : 0,
    appendSilence: !calm && random.chance(0.15) ? 0.03 : 0,
    blobRefusal: !calm && random.chance(0.5) ? 0.1 : 0,
    badWork: 0.05,
    slowWork: random.chance(0.1) ? 0.2 : 0,
    commonWork: 0.15,
    restlessWork: 0.08,
    ballastBytes: 0,
    network: {
      loss: network(0.5, 0.1),
      duplication: network(0.5, 0.1),
      reorder: network(0.5, 0.2),
      delayMs: random.pick([0.2, 0.5, 2, 20]),
    },
  };
}
