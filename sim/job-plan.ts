/** What a durable job is to be: a random graph, what it reads, and how its client goes about it. */
import { putObjectId } from "../proto/address.js";
import { objectsRead } from "../proto/args.js";
import type { ObjectId } from "../proto/ids.js";
import type { StageSpec } from "../proto/messages/stage.js";
import { PackWriter } from "../proto/values/pack.js";
import type { WorkRates } from "./fault-rates.js";
import type { Random } from "./random.js";
import { randomStage } from "./random-graph.js";

/** What two clients that submit the same share. */
export interface JobPlan {
  readonly stages: readonly StageSpec[];
  readonly outputs: readonly number[];
  /** `inSession`: the client puts it into its session; the job's submission makes it durable. */
  readonly puts: ReadonlyMap<ObjectId, { data: Uint8Array; inSession: boolean }>;
  readonly key: string | undefined;
  readonly cancelAfterMs: number | undefined;
}

/** It reads nothing that others have made. */
export const isSelfContained = ({ stages, puts }: JobPlan): boolean =>
  stages.every(({ args }) => [...objectsRead(args)].every((id) => puts.has(id)));

/** `made`: results of earlier jobs that it may read. */
export function randomJobPlan(random: Random, name: string, made: readonly ObjectId[], work: WorkRates): JobPlan {
  const puts = new Map<ObjectId, { data: Uint8Array; inSession: boolean }>();
  const packs: { id: ObjectId; count: number }[] = [];
  const objects: ObjectId[] = made.length > 0 && random.chance(0.6) ? [random.pick(made), random.pick(made)] : [];
  for (let i = random.between(0, 2); i > 0; i--) {
    const data = Uint8Array.of(9, i, random.between(0, 255));
    const id = putObjectId(3, data);
    puts.set(id, { data, inSession: random.chance(0.5) });
    objects.push(id);
  }
  if (random.chance(0.3)) {
    const count = random.between(2, 12);
    const pack = new PackWriter();
    for (let i = 0; i < count; i++) pack.add({ kind: 3, data: Uint8Array.of(i, random.between(0, 255)) });
    const data = pack.finish();
    const id = putObjectId(3, data);
    puts.set(id, { data, inSession: false });
    packs.push({ id, count });
  }
  const stages: StageSpec[] = [];
  for (let index = 0, count = random.between(1, 7); index < count; index++) {
    stages.push(randomStage({ random, stages: stages.map((spec) => ({ spec })), objects, packs, work }, index));
  }
  const outputs = [
    stages.length - 1,
    ...(stages.length > 1 && random.chance(0.3) ? [random.between(0, stages.length - 2)] : []),
  ];
  return {
    stages,
    outputs,
    puts,
    key: random.chance(0.5) ? `key-${name}` : undefined,
    cancelAfterMs: random.chance(0.12) ? random.between(0, 8_000) : undefined,
  };
}
