/** The worker's core by hand: a clock, scripted orders, and a check of the invariants after every step. For tests. */
import { expect } from "vitest";
import type { Epoch, JobId, LeaseId, ObjectBase, WorkerId } from "../proto/ids.js";
import type { ResultSegment } from "../proto/messages/results.js";
import type { Lease, SchedulerCommand, WorkerRequest } from "../proto/messages/worker.js";
import type { WorkerCommand, WorkerEvent } from "../worker/core/events.js";
import { checkWorkerInvariants, createWorkerState, type WorkerState } from "../worker/core/state.js";
import { workerStep } from "../worker/core/step.js";

export const identity = {
  worker: "w1" as WorkerId,
  node: "n",
  pid: 1,
  version: 1,
  slots: 2,
  storeBudgetBytes: 1 << 20,
};

export const leaseOf = (id: string, from = 0, to = 10): Lease => ({
  lease: id as LeaseId,
  job: "j" as JobId,
  stage: 3,
  base: "sj_3" as ObjectBase,
  fn: { kernel: "noop", version: 1 },
  from,
  to,
  attempt: 0,
  args: [],
  bases: [],
  inputs: [],
  durable: false,
  options: { retries: 0, timeoutMs: 1000, pure: false, priority: 0 },
});
export const inline = (from: number, to: number): ResultSegment => ({
  r: "inline",
  stage: 3,
  from,
  to,
  pack: new Uint8Array(8),
});

export class Harness {
  state: WorkerState = createWorkerState(identity, 1000);
  now = 0;
  do(event: WorkerEvent): WorkerCommand[] {
    const out = workerStep(this.state, event, this.now);
    checkWorkerInvariants(this.state);
    return out;
  }
  commands(commands: SchedulerCommand[], epoch = 1): WorkerCommand[] {
    return this.do({ e: "commands", message: { t: "commands", epoch: epoch as Epoch, commands } });
  }
  join(epoch = 1): this {
    this.do({ e: "start" });
    this.commands([{ o: "welcome", heartbeatIntervalMs: 1000 }], epoch);
    return this;
  }
  lease(id: string, from = 0, to = 10): WorkerCommand[] {
    return this.commands([{ o: "lease", lease: leaseOf(id, from, to) }]);
  }
  running(id: string, from = 0, to = 10): this {
    this.lease(id, from, to);
    expect(kinds(this.do({ e: "ready", lease: id as LeaseId }))).toContain("run");
    return this;
  }
  results(id: string, segment: ResultSegment): WorkerCommand[] {
    return this.do({ e: "results", lease: id as LeaseId, segment, slotTimeUs: 1 });
  }
  vacated(id: string): WorkerCommand[] {
    return this.do({ e: "vacated", lease: id as LeaseId });
  }
  /** The run is over, and all of it is stored: what the core has to say to that. */
  ended(id: string): WorkerCommand[] {
    return [...this.vacated(id), ...this.do({ e: "ended", lease: id as LeaseId })];
  }
  flush(): WorkerRequest[] {
    return sent(this.do({ e: "flush" }));
  }
  tick(byMs: number): WorkerCommand[] {
    this.now += byMs;
    return this.do({ e: "tick", storeBytes: 0, spilledBytes: 0 });
  }
}
export const kinds = (commands: WorkerCommand[]): string[] => commands.map((c) => c.c);
export const sent = (commands: WorkerCommand[]): WorkerRequest[] =>
  commands.flatMap((c) => (c.c === "send" ? [c.message] : []));
