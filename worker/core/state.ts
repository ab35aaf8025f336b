/**
 * The worker's bookkeeping as data, its transitions' small helpers, and the invariants that hold after every step.
 * Rules M1–M6 are those of proto/messages/worker.ts.
 */
import type { EngineFacts } from "../../proto/engine.js";
import { invariant } from "../../proto/errors.js";
import type { Epoch, Instance, LeaseId, ObjectId, SchedulerStart, WorkerId } from "../../proto/ids.js";
import type { Commit, Lease, StoredObject, WorkerRequest } from "../../proto/messages/worker.js";

export interface WorkerIdentity {
  readonly worker: WorkerId;
  /** Of this process; another process of this name has another (M7). */
  readonly instance?: Instance | undefined;
  readonly node: string;
  readonly pid: number;
  readonly version: number;
  /** Volley's version and the engine of the process; a worker of an older version says neither. */
  readonly volley?: string;
  readonly engine?: EngineFacts;
  readonly slots: number;
  readonly storeBudgetBytes: number;
}

/**
 * preparing ─ready─► ready ─► running ─vacated─► storing ─ended─► finishing ─ack─► (remembered)
 *                      └► staged ┘ ▲ └─► blocked ─┐
 *                                  └──────────────┘
 * `staged`: the slot's thread has it and begins it when the lease before it returns; until then it can be recalled.
 * `blocked`: its task awaits others; it keeps its thread and has given its slot back (`wants`: it could go on).
 * `storing`: its functions have returned and its slot is free; results are on their way into a store.
 * `void`: of an older epoch, until its run has ended; its results are dropped. While it has a slot, it holds it.
 */
export type LeasePhase =
  | { p: "preparing"; waits: "inputs" | "memory" }
  | { p: "ready" }
  | { p: "staged"; slot: number; recalled: boolean }
  | { p: "running"; slot: number }
  | { p: "blocked"; slot: number; wants: boolean }
  | { p: "storing" }
  | { p: "void"; slot: number | undefined }
  | { p: "finishing" };

/** A slot is a thread; what it executes and what it begins next are the core's to say (slots.ts). */
export interface SlotState {
  now: LeaseId | undefined;
  next: LeaseId | undefined;
}

export interface HeldEntry {
  readonly lease: Lease;
  phase: LeasePhase;
  /** Tasks from here on have been given back; the lease's own end until then. */
  to: number;
  /** Tasks with a result, as sorted disjoint ranges. */
  readonly done: [from: number, to: number][];
}

export type Link =
  /** Registration has been or will be sent; again at `registerAtMs`. */
  { l: "joining"; registerAtMs: number } | { l: "joined"; heartbeatAtMs: number } | { l: "left" };

type Buffered = Extract<WorkerRequest, { t: "commits" | "objects" }>;

export interface OutboxEntry {
  message: Buffered;
  readonly tokens: readonly number[];
  sentAtMs: number;
}

export interface WorkerState {
  readonly identity: WorkerIdentity;
  /** Highest epoch seen; 0 before the first welcome. */
  epoch: number;
  /** Of the scheduler that gave the last welcome. */
  followed: { epoch: Epoch; start: SchedulerStart } | undefined;
  link: Link;
  draining: boolean;
  /**
   * While it drains and has nothing else to do: the scheduler says whether it may go, and it goes by itself if nothing
   * is heard until then.
   */
  leave: { free: boolean; untilMs: number } | undefined;
  heartbeatIntervalMs: number;
  storeBytes: number;
  spilledBytes: number;
  readonly leases: Map<LeaseId, HeldEntry>;
  readonly slots: readonly SlotState[];
  /**
   * Leases that are over, so that an order that comes again is answered and not executed again (M3). Oldest first,
   * bounded.
   */
  readonly over: Set<LeaseId>;
  readonly objects: Map<ObjectId, StoredObject>;
  /**
   * When the next page of objects is told again, and which objects (in order of arrival) have been told in this round.
   */
  announce: { atMs: number; emitted: number };
  readonly pending: {
    commits: { commit: Commit; bytes: number }[];
    done: LeaseId[];
    /** Their slots are free; said only if their results are not there in the same turn. */
    ran: LeaseId[];
    back: Extract<WorkerRequest, { t: "commits" }>["back"];
    added: Map<ObjectId, StoredObject>;
    removed: Set<ObjectId>;
    tokens: number[];
  };
  /** Sent and not yet acknowledged, by sequence number (M2). */
  readonly outbox: Map<number, OutboxEntry>;
  nextSeq: number;
}

export const leasesRememberedMax = 4096;

export function createWorkerState(identity: WorkerIdentity, heartbeatIntervalMs: number): WorkerState {
  return {
    identity,
    epoch: 0,
    followed: undefined,
    link: { l: "joining", registerAtMs: 0 },
    draining: false,
    leave: undefined,
    heartbeatIntervalMs,
    storeBytes: 0,
    spilledBytes: 0,
    leases: new Map(),
    slots: Array.from({ length: identity.slots }, () => ({ now: undefined, next: undefined })),
    over: new Set(),
    objects: new Map(),
    announce: { atMs: 0, emitted: 0 },
    pending: { commits: [], done: [], ran: [], back: [], added: new Map(), removed: new Set(), tokens: [] },
    outbox: new Map(),
    nextSeq: 1,
  };
}

/** Slots that execute a lease, live or void. */
export function slotsBusy(state: WorkerState): number {
  let busy = 0;
  for (const slot of state.slots) if (slot.now !== undefined) busy++;
  return busy;
}

/** First task of the lease that has no result yet. */
export function nextTask(entry: HeldEntry): number {
  const first = entry.done[0];
  return first && first[0] === entry.lease.from ? first[1] : entry.lease.from;
}

/** Adds [from, to) to the sorted disjoint ranges. False if any of it was there already. */
export function addRange(ranges: [number, number][], from: number, to: number): boolean {
  let at = ranges.length;
  while (at > 0 && (ranges[at - 1] as [number, number])[0] >= to) at--;
  const before = ranges[at - 1];
  if (before && before[1] > from) return false;
  const after = ranges[at];
  const joinsBefore = before !== undefined && before[1] === from;
  const joinsAfter = after !== undefined && after[0] === to;
  if (joinsBefore && joinsAfter) {
    before[1] = after[1];
    ranges.splice(at, 1);
  } else if (joinsBefore) before[1] = to;
  else if (joinsAfter) after[0] = from;
  else ranges.splice(at, 0, [from, to]);
  return true;
}

/** The parts of [from, to) that are in none of the ranges. */
export function gaps(ranges: readonly [number, number][], from: number, to: number): [number, number][] {
  const out: [number, number][] = [];
  let at = from;
  for (const [a, b] of ranges) {
    if (a >= to) break;
    if (a > at) out.push([at, a]);
    at = Math.max(at, b);
  }
  if (at < to) out.push([at, to]);
  return out;
}

export function remember(state: WorkerState, lease: LeaseId): void {
  state.over.add(lease);
  if (state.over.size <= leasesRememberedMax) return;
  for (const oldest of state.over) {
    state.over.delete(oldest);
    return;
  }
}

/** Throws InvariantViolation. For tests and the simulator, after every step. */
export function checkWorkerInvariants(state: WorkerState): void {
  checkSlots(state);
  const announced = new Set(state.pending.done);
  for (const { message } of state.outbox.values())
    if (message.t === "commits") for (const lease of message.done) announced.add(lease);
  for (const [id, entry] of state.leases) {
    const { from, to } = entry.lease;
    const name = `lease ${id} (${entry.phase.p})`;
    invariant(id === entry.lease.lease, `${name} is filed under another id than ${entry.lease.lease}`);
    invariant(from < entry.to && entry.to <= to, `${name} has the range [${from}, ${entry.to}) of [${from}, ${to})`);
    let previous = from - 1;
    for (const [a, b] of entry.done) {
      invariant(
        a > previous && a < b && b <= to,
        `${name} has the results [${a}, ${b}) after ${previous} in [${from}, ${to})`,
      );
      previous = b;
    }
    if (entry.phase.p === "preparing" || entry.phase.p === "ready")
      invariant(entry.done.length === 0, `${name} has results before it ran`);
    if (entry.phase.p === "ready")
      invariant(slotsBusy(state) === state.slots.length, `${name} waits while a slot is free`);
    if (entry.phase.p === "finishing")
      invariant(announced.has(id), `${name} is finished but its end is neither pending nor in the outbox`);
    invariant(!state.over.has(id), `${name} is both held and over`);
    if (state.draining)
      invariant(entry.phase.p !== "preparing" && entry.phase.p !== "ready", `${name} is kept unstarted while draining`);
  }
  for (const seq of state.outbox.keys())
    invariant(seq < state.nextSeq, `outbox holds seq ${seq}, not yet given out (next is ${state.nextSeq})`);
  invariant(state.over.size <= leasesRememberedMax, `${state.over.size} leases remembered`);
  if (state.link.l === "joined") invariant(state.epoch > 0, "joined without an epoch");
  if (state.link.l === "left")
    invariant(state.leases.size === 0 && state.outbox.size === 0, "left with leases or unacknowledged messages");
}

/** Slots and leases say the same of each other, and nothing is staged behind a free slot. */
function checkSlots(state: WorkerState): void {
  invariant(state.slots.length === state.identity.slots, `${state.slots.length} slots of ${state.identity.slots}`);
  state.slots.forEach(({ now, next }, i) => {
    invariant(next === undefined || now !== undefined, `slot ${i} is free, and lease ${next} is staged there`);
    for (const [id, phases] of [
      [now, "running void"],
      [next, "staged void"],
    ] as const) {
      if (id === undefined) continue;
      const phase = state.leases.get(id)?.phase;
      invariant(
        phase !== undefined && "slot" in phase && phase.slot === i && phases.includes(phase.p),
        `slot ${i} has lease ${id}, which is ${phase?.p ?? "not held"}`,
      );
    }
  });
  for (const [id, { phase }] of state.leases) {
    if (phase.p !== "running" && phase.p !== "staged" && (phase.p !== "void" || phase.slot === undefined)) continue;
    const slot = state.slots[phase.slot as number];
    invariant(
      slot?.now === id || slot?.next === id,
      `lease ${id} is ${phase.p} on slot ${phase.slot}, which has not got it`,
    );
  }
}
