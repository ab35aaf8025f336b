/** The scheduler's metrics. Counting on the hot path is one map entry; it reaches prom-client when somebody asks. */
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { TenantId } from "../../proto/ids.js";
import type { Command, CounterName } from "../core/events.js";
import type { SchedulerStats } from "./core-port.js";

type Count = Extract<Command, { c: "count" }>;
type Observe = Extract<Command, { c: "observe" }>;

/** Counters of tasks share one name; the others have their own. */
const taskStates: Partial<Record<CounterName, string>> = {
  tasks_submitted: "submitted",
  tasks_committed: "committed",
  tasks_failed: "failed",
  tasks_cancelled: "cancelled",
  tasks_reused: "reused",
  tasks_retried: "retried",
};

const counterHelp: Partial<Record<CounterName, string>> = {
  commits_stale_refused: "Commits refused because their epoch, lease or attempt had passed.",
  commits_duplicate: "Commits of tasks that were committed before.",
  nondeterminism_alarms: "Pure tasks that gave two different results.",
  leases_granted: "Leases given to workers.",
  leases_revoked: "Leases whose unstarted rest was asked back.",
  leases_resent: "Leases sent again because a worker did not list them.",
  tasks_strayed:
    "Results of pure functions that another engine made than their address says, because no worker had it any more.",
  engine_mixes: "Joins of a worker whose engine no other worker had, beside workers of another.",
  workers_lost: "Workers that stopped answering.",
  objects_lost: "Objects of which every copy went.",
  objects_recomputed: "Lost objects that are made again.",
};

const secondsBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const appendBuckets = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
const enginesShownMax = 16;
const jobStates = ["running", "succeeded", "failed", "cancelled"];

export const tenantsShown = 200;
/** Not a tenant's name: those have no parentheses. */
export const otherTenants = "(others)";

export class SchedulerMetrics {
  readonly registry = new Registry();
  readonly #tenants = new Set<TenantId>();
  readonly #pending = new Map<string, { command: Count; by: number }>();
  readonly #counters = new Map<string, Counter<string>>();
  readonly #tasks: Counter<"state" | "tenant">;
  readonly #durations: Record<Observe["metric"], Histogram<"tenant">>;
  readonly #appendSeconds: Histogram;
  /** Families ever seen, and their workers at the last look. */
  readonly #engines = new Map<string, number>();
  readonly #delay: IntervalHistogram;
  readonly #received = { client: { messages: 0, bytes: 0 }, worker: { messages: 0, bytes: 0 } };
  readonly #sent = { client: { messages: 0, bytes: 0 }, worker: { messages: 0, bytes: 0 } };
  #stats: (() => SchedulerStats) | undefined;

  constructor() {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#tasks = new Counter({
      name: "volley_tasks_total",
      help: "Tasks by what became of them.",
      labelNames: ["state", "tenant"],
      registers,
    });
    const duration = (what: string, help: string) =>
      new Histogram({
        name: `volley_scheduler_${what}_seconds`,
        help,
        labelNames: ["tenant"],
        buckets: secondsBuckets,
        registers,
      });
    this.#durations = {
      queue_seconds: duration("queue", "Time from a task's being ready to its lease."),
      lease_seconds: duration("lease", "Time from a lease's grant to its end."),
      task_seconds: duration("task", "Execution time of tasks as measured by workers."),
    };
    this.#appendSeconds = new Histogram({
      name: "volley_scheduler_journal_append_seconds",
      help: "Time of one append to the journal, until it is on disk.",
      buckets: appendBuckets,
      registers,
    });
    this.#delay = monitorEventLoopDelay({ resolution: 10 });
    this.#delay.enable();
    // A counter that is absent until its first event cannot be watched for that event.
    for (const [metric, help] of Object.entries(counterHelp)) this.add(metric, help, 0, { tenant: "" });
  }

  /** Where the gauges come from, once there is a state. */
  watch(stats: () => SchedulerStats): void {
    this.#stats = stats;
  }

  count(command: Count): void {
    const key = `${command.metric}/${this.#tenantOf(command)}/${command.label ?? ""}`;
    const pending = this.#pending.get(key);
    if (pending) pending.by += command.by;
    else this.#pending.set(key, { command, by: command.by });
  }

  /**
   * Every label value is a series that is kept for ever and read with every scrape: the first tenants have their own,
   * the others share one.
   */
  #tenantOf({ tenant = "" as TenantId }: { tenant?: TenantId }): string {
    if (tenant === "" || this.#tenants.has(tenant)) return tenant;
    if (this.#tenants.size >= tenantsShown) return otherTenants;
    this.#tenants.add(tenant);
    return tenant;
  }

  observe(command: Observe): void {
    this.#durations[command.metric].observe({ tenant: this.#tenantOf(command) }, command.value);
  }

  appended(seconds: number, bytes: number, records: number): void {
    this.#appendSeconds.observe(seconds);
    this.add("journal_appends", "Entries appended to the journal.", 1);
    this.add("journal_records", "Records in appended entries.", records);
    this.add("journal_bytes", "Bytes of appended entries.", bytes);
  }

  received(from: "client" | "worker", bytes: number): void {
    this.#received[from].messages++;
    this.#received[from].bytes += bytes;
  }

  sent(to: "client" | "worker", bytes: number): void {
    this.#sent[to].messages++;
    this.#sent[to].bytes += bytes;
  }

  /** Adds to `volley_scheduler_<name>_total`. */
  add(name: string, help: string, by: number, labels: Record<string, string> = {}): void {
    let counter = this.#counters.get(name);
    if (!counter) {
      counter = new Counter({
        name: `volley_scheduler_${name}_total`,
        help,
        labelNames: Object.keys(labels),
        registers: [this.registry],
      });
      this.#counters.set(name, counter);
    }
    counter.inc(labels, by);
  }

  set(name: string, help: string, value: number, labels: Record<string, string> = {}): void {
    const full = `volley_scheduler_${name}`;
    const found = this.registry.getSingleMetric(full) as Gauge<string> | undefined;
    const gauge = found ?? new Gauge({ name: full, help, labelNames: Object.keys(labels), registers: [this.registry] });
    gauge.set(labels, value);
  }

  /** The text of /metrics. */
  async scrape(): Promise<string> {
    this.#flushCounts();
    this.#flushTraffic();
    this.#flushGauges();
    return this.registry.metrics();
  }

  close(): void {
    this.#delay.disable();
  }

  #flushCounts(): void {
    for (const { command, by } of this.#pending.values()) {
      const { metric, label } = command;
      const tenant = this.#tenantOf(command);
      const state = taskStates[metric];
      if (state !== undefined) this.#tasks.inc({ state, tenant }, by);
      else this.add(metric, counterHelp[metric] ?? metric, by, label === undefined ? { tenant } : { tenant, label });
    }
    this.#pending.clear();
  }

  /**
   * Families that nobody has any more fall to 0 and stay; beyond `enginesShownMax` ever seen they are counted together.
   */
  #setEngines(engines: ReadonlyMap<string, number>): void {
    const shown = this.#engines;
    for (const name of shown.keys()) shown.set(name, 0);
    for (const [family, count] of engines) {
      const known = family || "unknown";
      const name = shown.has(known) || shown.size < enginesShownMax ? known : "other";
      shown.set(name, (shown.get(name) ?? 0) + count);
    }
    for (const [engine, count] of shown)
      this.set("workers_by_engine", "Workers that have joined, by V8's version and processor.", count, { engine });
  }

  #flushTraffic(): void {
    for (const from of ["client", "worker"] as const) {
      const received = this.#received[from];
      const sent = this.#sent[from];
      this.add("messages_received", "Messages that came in.", received.messages, { from });
      this.add("received_bytes", "Bytes of messages that came in.", received.bytes, { from });
      this.add("messages_sent", "Messages that went out.", sent.messages, { to: from });
      this.add("sent_bytes", "Bytes of messages that went out.", sent.bytes, { to: from });
      received.messages = received.bytes = sent.messages = sent.bytes = 0;
    }
  }

  #flushGauges(): void {
    const delayHelp = "Delay of the event loop since it was last asked for.";
    for (const [quantile, percentile] of [
      ["0.5", 50],
      ["0.99", 99],
      ["1", 100],
    ] as const)
      this.set(
        "event_loop_delay_seconds",
        delayHelp,
        (percentile === 100 ? this.#delay.max : this.#delay.percentile(percentile)) / 1e9,
        { quantile },
      );
    this.#delay.reset();
    const stats = this.#stats?.();
    if (!stats) return;
    this.set("tasks_queued", "Tasks that wait for a slot.", stats.queued);
    this.set("tasks_running", "Tasks in leases.", stats.running);
    this.set("workers", "Workers that have joined.", stats.workers);
    this.#setEngines(stats.engines);
    this.set("slots", "Slots of workers that take leases.", stats.slots);
    this.set("sessions", "Open sessions.", stats.sessions);
    for (const state of jobStates)
      this.set("jobs", "Durable jobs that are known, by state.", stats.jobs[state] ?? 0, { state });
  }
}
