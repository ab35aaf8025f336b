/** Planted: the beat of a worker that is dead. */
import type { Epoch } from "../proto/ids.js";
import type { WorkerRequestOf } from "../proto/messages/worker.js";
import type { State } from "../scheduler/core/index.js";

type WorkerRecord = State["workers"] extends Map<unknown, infer R> ? R : never;

export function ghostBeat(worker: WorkerRecord, epoch: Epoch): WorkerRequestOf<"beat"> {
  const leases = [...worker.leases.values()].map(({ id, next, to, running }) => ({ lease: id, next, to, running }));
  const { id, instance } = worker;
  return {
    t: "beat",
    worker: id,
    instance,
    epoch,
    leases,
    slotsBusy: 0,
    storeBytes: 0,
    spilledBytes: 0,
    draining: true,
  };
}
