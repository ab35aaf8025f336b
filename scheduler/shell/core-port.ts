/**
 * What the shell asks of the core. The real one is scheduler/core (real-core.ts binds it); tests script another.
 * `S` is the core's state, which the shell never looks into.
 */
import type { Epoch, JobId, ObjectBase } from "../../proto/ids.js";
import type { Command, Event, JournalRecord } from "../core/events.js";

/** What later stages must know of an earlier one: its length and the base of its objects. */
export interface KnownStage {
  readonly count: number;
  readonly base: ObjectBase;
}

/** What a session makes the scheduler remember: its living stages, their tasks, and the bytes of their arguments. */
export interface SessionSize {
  stages: number;
  tasks: number;
  argBytes: number;
}

export interface SchedulerStats {
  readonly queued: number;
  readonly running: number;
  readonly workers: number;
  /** Workers by the family of their engine. */
  readonly engines: ReadonlyMap<string, number>;
  readonly slots: number;
  readonly sessions: number;
  /** Durable jobs by state. */
  readonly jobs: Readonly<Record<string, number>>;
}

export interface CorePort<S> {
  create(epoch: Epoch): S;
  /** Mutates the state. A throw is a bug: the state may be half changed and the process must stop. */
  step(state: S, event: Event, nowMs: number): Command[];
  applyRecord(state: S, record: JournalRecord): void;
  /**
   * The durable part as a list of plain data that no later step changes: it is encoded one by one, while steps go on.
   */
  snapshot(state: S): unknown[];
  restore(items: readonly unknown[], epoch: Epoch): S;
  /** When the state next wants a tick; undefined: when something happens. */
  nextWakeMs(state: S): number | undefined;
  stageOf(state: S, job: JobId, stage: number): KnownStage | undefined;
  sizeOf(state: S, session: JobId): SessionSize | undefined;
  /**
   * What pure functions of users are addressed with ("": not known); undefined of a core that knows nothing of engines.
   */
  engineOf(state: S): string | undefined;
  /** The event of the last step, for log lines: `#12 heartbeat of w1`. */
  causeOf(state: S): string;
  /** For gauges; read when metrics are scraped. */
  stats(state: S): SchedulerStats;
}
