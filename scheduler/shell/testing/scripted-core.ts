/**
 * For tests of the shell: a core whose steps are a function of the test, and a journal whose appends can be held,
 * failed and lost.
 */

import type { Durable, Journal } from "../../../proto/durable/durable.js";
import { VolleyError } from "../../../proto/errors.js";
import type { Epoch, JobId } from "../../../proto/ids.js";
import type { Command, Event, JournalRecord } from "../../core/events.js";
import type { CorePort, KnownStage } from "../core-port.js";

export interface ScriptedState {
  epoch: Epoch;
  /** Every durable record, in order: the whole durable state. */
  records: JournalRecord[];
  readonly stages: Map<string, KnownStage>;
}

export type Script = (state: ScriptedState, event: Event, nowMs: number) => Command[];

export interface ScriptedCore extends CorePort<ScriptedState> {
  /** Events in the order in which they came, ticks left out. */
  readonly events: Event[];
}

export function scriptedCore(script: Script = () => []): ScriptedCore {
  const events: Event[] = [];
  const core: ScriptedCore = {
    events,
    create: (epoch) => ({ epoch, records: [], stages: new Map() }),
    step(state, event, nowMs) {
      if (event.e !== "tick") events.push(event);
      const commands = script(state, event, nowMs);
      for (const command of commands) if (command.c === "record") core.applyRecord(state, command.record);
      return commands;
    },
    applyRecord(state, record) {
      if (record.k === "epoch") state.epoch = record.epoch;
      else state.records.push(record);
    },
    snapshot: (state) => [...state.records],
    restore: (items, epoch) => ({ epoch, records: [...(items as JournalRecord[])], stages: new Map() }),
    nextWakeMs: () => undefined,
    stageOf: (state, job, stage) => state.stages.get(`${job}/${stage}`),
    sizeOf: () => undefined,
    engineOf: () => undefined,
    causeOf: () => "#1 scripted",
    stats: () => ({ queued: 0, running: 0, workers: 0, engines: new Map(), slots: 0, sessions: 0, jobs: {} }),
  };
  return core;
}

export const cancelRecord = (n: number): JournalRecord => ({ k: "cancel", job: `job${n}` as JobId, atMs: n });

/** What an append does next: go through, wait for `release`, fail before it is written, or be written and then fail. */
export type AppendMode = "through" | "hold" | "fail" | "lose-answer";

export class FaultyJournal implements Journal {
  mode: AppendMode = "through";
  appends = 0;
  readonly #inner: Journal;
  #waiting: (() => void)[] = [];
  #watchers: (() => void)[] = [];

  constructor(inner: Journal) {
    this.#inner = inner;
  }

  async append(data: Uint8Array, expectedLastSeq: number): Promise<number> {
    this.appends++;
    for (const watcher of this.#watchers.splice(0)) watcher();
    if (this.mode === "hold") await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.mode === "fail") throw new VolleyError("DISCONNECTED", "the journal is away");
    const seq = await this.#inner.append(data, expectedLastSeq);
    if (this.mode === "lose-answer") throw new VolleyError("TIMEOUT", "the answer was lost");
    return seq;
  }

  /** Resolves when the next append has begun. */
  nextAppend(): Promise<void> {
    return new Promise((resolve) => this.#watchers.push(resolve));
  }

  release(): void {
    this.mode = "through";
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  read(afterSeq: number): AsyncIterable<{ seq: number; data: Uint8Array }> {
    return this.#inner.read(afterSeq);
  }
  lastSeq(): Promise<number> {
    return this.#inner.lastSeq();
  }
  truncate(uptoSeq: number): Promise<void> {
    return this.#inner.truncate(uptoSeq);
  }
}

export function faultyDurable(inner: Durable): Durable & { readonly journal: FaultyJournal } {
  return {
    journal: new FaultyJournal(inner.journal),
    bundles: inner.bundles,
    objects: inner.objects,
    snapshots: inner.snapshots,
    results: inner.results,
    scratch: inner.scratch,
  };
}

export async function entriesOf(journal: Journal): Promise<{ seq: number; data: Uint8Array }[]> {
  const entries: { seq: number; data: Uint8Array }[] = [];
  for await (const entry of journal.read(0)) entries.push(entry);
  return entries;
}
