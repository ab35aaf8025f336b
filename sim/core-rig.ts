/**
 * A scripted client and scripted workers around one core: every step is followed by a check of the invariants. For
 * tests.
 */
import { expect } from "vitest";
import { stageBase } from "../proto/address.js";
import { digestOf } from "../proto/digest.js";
import type { ClientId, Epoch, Instance, JobId, LeaseId, ObjectBase, TenantId, WorkerId } from "../proto/ids.js";
import type { ClientReply, ClientRequest } from "../proto/messages/client.js";
import type { ResultSegment } from "../proto/messages/results.js";
import type { ArgSpec, StageSpec } from "../proto/messages/stage.js";
import type { Commit, HeldLease, Lease, WorkerRequest, WorkerRequestOf } from "../proto/messages/worker.js";
import { PackWriter } from "../proto/values/pack.js";
import { encodeValue } from "../proto/values/value.js";
import { PROTOCOL_VERSION } from "../proto/version.js";
import {
  type Command,
  checkInvariants,
  createState,
  type Event,
  type JournalRecord,
  type State,
  step,
} from "../scheduler/core/index.js";

export const client = "client" as ClientId;
export const session = "session" as JobId;
export const tenant = "default" as TenantId;
export const w1 = "w1" as WorkerId;
export const w2 = "w2" as WorkerId;

export class Rig {
  state: State;
  now = 1_000;
  readonly records: JournalRecord[] = [];
  readonly commands: Command[] = [];
  #token = 0;
  #seq = new Map<WorkerId, number>();
  /** Of the processes that registered last. */
  readonly instances = new Map<WorkerId, Instance | undefined>();

  /** Off where very many steps are taken: the check looks at everything there is. */
  readonly #checked: boolean;

  constructor(state: State = createState({ epoch: 1 as Epoch }), options: { checked?: boolean } = {}) {
    this.state = state;
    this.#checked = options.checked ?? true;
  }

  #take(commands: Command[]): Command[] {
    if (this.#checked) checkInvariants(this.state);
    for (const command of commands) if (command.c === "record") this.records.push(command.record);
    this.commands.push(...commands);
    return commands;
  }

  /** An event that is neither a client's nor a worker's. */
  take(event: Event): Command[] {
    return this.#take(step(this.state, event, this.now));
  }

  ask(request: ClientRequest): ClientReply | undefined {
    const reply = ++this.#token;
    const stages: readonly StageSpec[] = request.t === "stages" || request.t === "submit" ? request.stages : [];
    const job = request.t === "submit" ? request.job : session;
    const bases: ObjectBase[] = [];
    const known = (index: number): ObjectBase =>
      bases[index - (stages[0]?.index ?? 0)] ?? (this.state.jobs.get(job)?.stages.get(index)?.base as ObjectBase);
    for (const spec of stages) bases.push(stageBase(job, spec, known));
    if (request.t === "resume")
      for (const { spec, base } of request.stages) bases.push(base ?? stageBase(request.session, spec, known));
    const out = this.#take(
      step(this.state, { e: "client", request, reply, bases, contentHash: JSON.stringify(bases) }, this.now),
    );
    for (const command of out)
      if (command.c === "digest")
        this.#take(
          step(this.state, { e: "digest", job: command.job, digest: `digest-of-${command.parts.length}` }, this.now),
        );
    const answer = out.find((c) => c.c === "reply" && c.to === reply);
    return answer?.c === "reply" ? answer.message : undefined;
  }

  receive(request: WorkerRequest): Command[] {
    const out = this.#take(step(this.state, { e: "worker", request }, this.now));
    for (const command of [...out])
      if (command.c === "digest")
        out.push(
          ...this.#take(
            step(this.state, { e: "digest", job: command.job, digest: `digest-of-${command.parts.length}` }, this.now),
          ),
        );
    return out;
  }

  /** Time passes, and some client that has nothing to do with this asks a question now and then. */
  pass(ms: number): Command[] {
    const out: Command[] = [];
    for (let left = ms; left > 0; left -= 500) {
      this.ask({ t: "workers" });
      out.push(...this.hush(Math.min(500, left)));
    }
    return out;
  }

  /** Time passes, and nobody says anything. `listenedMs`: of every 100 ms, so many could have been heard. */
  hush(ms: number, listenedMs?: number): Command[] {
    const out: Command[] = [];
    for (let left = ms; left > 0; left -= 100) {
      this.now += Math.min(100, left);
      out.push(
        ...this.#take(step(this.state, { e: "tick", ...(listenedMs === undefined ? {} : { listenedMs }) }, this.now)),
      );
    }
    return out;
  }

  open(): void {
    this.ask({ t: "open", client, session, tenant, version: PROTOCOL_VERSION });
  }

  join(worker: WorkerId, slots = 1, about: Partial<WorkerRequestOf<"register">> = {}): Command[] {
    if (about.instance !== this.instances.get(worker)) this.#seq.delete(worker);
    this.instances.set(worker, about.instance);
    const facts = { node: "n", pid: 1, version: PROTOCOL_VERSION, slots, storeBudgetBytes: 1e9, ...about };
    return this.receive({ t: "register", worker, leases: [], objects: [], ...facts });
  }

  heartbeat(worker: WorkerId, leases: HeldLease[] = []): Command[] {
    return this.receive({
      t: "heartbeat",
      worker,
      instance: this.instances.get(worker),
      epoch: this.state.epoch,
      leases,
      slotsBusy: 0,
      storeBytes: 0,
      spilledBytes: 0,
      draining: false,
    });
  }

  commit(
    worker: WorkerId,
    commits: Commit[],
    options: { epoch?: number; seq?: number; done?: LeaseId[]; back?: WorkerRequestOf<"commits">["back"] } = {},
  ): Command[] {
    const seq = options.seq ?? this.#seq.get(worker) ?? 0;
    this.#seq.set(worker, seq + 1);
    return this.receive({
      t: "commits",
      worker,
      instance: this.instances.get(worker),
      epoch: (options.epoch ?? this.state.epoch) as Epoch,
      seq,
      commits,
      done: options.done ?? [],
      back: options.back ?? [],
    });
  }

  count(metric: string): number {
    return this.commands.reduce((sum, c) => sum + (c.c === "count" && c.metric === metric ? c.by : 0), 0);
  }
}

export const leasesIn = (commands: Command[]): Lease[] =>
  commands.flatMap((c) => (c.c === "command" && c.command.o === "lease" ? [c.command.lease] : []));
export const updatesIn = (commands: Command[]): ResultSegment[] =>
  commands.flatMap((c) => (c.c === "update" ? [c.segment] : []));

export const spec = (
  index: number,
  count: number,
  args: ArgSpec[] = [],
  options: Partial<StageSpec["options"]> = {},
): StageSpec => ({
  index,
  count,
  args,
  fn: { kernel: `k${index}`, version: 1 },
  options: { retries: 0, timeoutMs: 60_000, pure: false, priority: 0, ...options },
});

export function inline(lease: Lease, values: unknown[], from = lease.from): Commit {
  const pack = new PackWriter();
  const digests = new Uint8Array(16 * values.length);
  values.forEach((value, i) => {
    const encoded = encodeValue(value);
    pack.add(encoded);
    digests.set(digestOf(encoded.kind, encoded.data), 16 * i);
  });
  return {
    lease: lease.lease,
    segment: { r: "inline", stage: lease.stage, from, to: from + values.length, pack: pack.finish(), digests },
    slotTimeUs: 10 * values.length,
  };
}

export const fill = (lease: Lease): Commit =>
  inline(
    lease,
    Array.from({ length: lease.to - lease.from }, (_, i) => lease.from + i),
  );
export const stored = (lease: Lease, seed = 1): Commit => ({
  lease: lease.lease,
  segment: {
    r: "stored",
    stage: lease.stage,
    from: lease.from,
    to: lease.to,
    stored: Array.from({ length: lease.to - lease.from }, () => ({
      bytes: 1e6,
      kind: 2,
      digest: new Uint8Array(16).fill(seed),
    })),
  },
  slotTimeUs: 1_000,
});
export const failed = (lease: Lease, code: "TASK_FAILED" | "BUNDLE_NOT_FOUND" = "TASK_FAILED"): Commit => ({
  lease: lease.lease,
  segment: { r: "failed", stage: lease.stage, from: lease.from, to: lease.from + 1, error: { code, message: "boom" } },
  slotTimeUs: 10,
});

export const one = <T>(list: T[]): T => {
  expect(list).toHaveLength(1);
  return list[0] as T;
};

/** Commits whatever is leased until nothing is. */
export function runAll(rig: Rig, worker: WorkerId, first: Command[], make: (lease: Lease) => Commit = fill): Command[] {
  const all = [...first];
  for (let leases = leasesIn(first); leases.length > 0; ) {
    const out = rig.commit(worker, leases.map(make), { done: leases.map((l) => l.lease) });
    all.push(...out);
    leases = leasesIn(out);
  }
  return all;
}
