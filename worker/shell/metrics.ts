/** The worker's metrics, with prom-client. Gauges are read when somebody asks. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { EngineFacts } from "../../proto/engine.js";
import type { WorkerCounter } from "../core/events.js";
import type { StoreStats } from "../store/store.js";

export interface WorkerStats {
  readonly slots: number;
  readonly slotsBusy: number;
  readonly threadsReplaced: number;
  readonly leases: number;
  readonly store: StoreStats;
  readonly joined: boolean;
}

const counters: Record<WorkerCounter, string> = {
  commits_sent: "Commits (runs of finished tasks) sent.",
  commits_resent: "Messages of commits sent again because no acknowledgement came.",
  commits_voided: "Commits dropped because a new scheduler had taken over.",
  commands_stale_refused: "Commands of a deposed scheduler, or for another process of this name, that were refused.",
  leases_taken: "Leases taken.",
  leases_given_back: "Leases given back unstarted.",
  tasks_done: "Tasks with a result or a failure.",
};

const secondsBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export class WorkerMetrics {
  readonly registry = new Registry();
  readonly #counters = new Map<WorkerCounter, Counter>();
  readonly #frameBytes: Counter<"direction">;
  readonly #slotSeconds: Counter;
  readonly #leaseSeconds: Histogram;
  readonly #fetchSeconds: Histogram;
  readonly #fetchedBytes: Counter;
  readonly #delay = monitorEventLoopDelay({ resolution: 10 });

  constructor(stats: () => WorkerStats, about: { volley: string; engine: EngineFacts }) {
    const registers = [this.registry];
    const { runtime, v8, arch } = about.engine;
    new Gauge({
      name: "volley_worker_info",
      help: "What this worker is: always 1.",
      labelNames: ["volley", "runtime", "v8", "arch"],
      registers,
    })
      .labels(about.volley, runtime, v8, arch)
      .set(1);
    collectDefaultMetrics({ register: this.registry });
    this.#delay.enable();
    for (const [name, help] of Object.entries(counters) as [WorkerCounter, string][]) {
      this.#counters.set(name, new Counter({ name: `volley_worker_${name}_total`, help, registers }));
    }
    this.#frameBytes = new Counter({
      name: "volley_worker_frame_bytes_total",
      help: "Payload bytes of frames.",
      labelNames: ["direction"],
      registers,
    });
    this.#slotSeconds = new Counter({
      name: "volley_worker_slot_seconds_total",
      help: "Time that slots spent executing tasks.",
      registers,
    });
    this.#leaseSeconds = new Histogram({
      name: "volley_worker_lease_seconds",
      help: "Time from a lease's order to the end of its run.",
      buckets: secondsBuckets,
      registers,
    });
    this.#fetchSeconds = new Histogram({
      name: "volley_worker_fetch_seconds",
      help: "Time to bring one input here.",
      buckets: secondsBuckets,
      registers,
    });
    this.#fetchedBytes = new Counter({
      name: "volley_worker_fetched_bytes_total",
      help: "Bytes of inputs brought here.",
      registers,
    });
    this.#addGauges(stats);
  }

  #addGauges(stats: () => WorkerStats): void {
    const registers = [this.registry];
    const gauge = (name: string, help: string, read: (now: WorkerStats) => number): void => {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read(stats()));
        },
      });
    };
    gauge("volley_worker_slots", "Slots.", (now) => now.slots);
    gauge("volley_worker_slots_busy", "Slots that execute.", (now) => now.slotsBusy);
    gauge("volley_worker_leases", "Leases held.", (now) => now.leases);
    gauge("volley_worker_joined", "1 while a scheduler knows this worker.", (now) => (now.joined ? 1 : 0));
    gauge(
      "volley_worker_threads_replaced",
      "Threads that user code ended or made unfit.",
      (now) => now.threadsReplaced,
    );
    gauge("volley_worker_store_objects", "Objects in the store.", (now) => now.store.objects);
    gauge("volley_worker_store_budget_bytes", "Bytes the store may use.", (now) => now.store.budgetBytes);
    gauge("volley_worker_store_used_bytes", "Bytes in shared memory.", (now) => now.store.usedBytes);
    gauge(
      "volley_worker_store_pinned_bytes",
      "Bytes in shared memory that are being read.",
      (now) => now.store.pinnedBytes,
    );
    gauge("volley_worker_store_spilled_bytes", "Bytes on disk.", (now) => now.store.spilledBytes);
    gauge("volley_worker_store_spills", "Objects written to disk so far.", (now) => now.store.spills);
    gauge("volley_worker_store_restores", "Objects brought back from disk so far.", (now) => now.store.restores);
    gauge(
      "volley_worker_event_loop_delay_p99_seconds",
      "Delay of the agent's event loop since the last scrape.",
      () => {
        const p99 = this.#delay.percentile(99) / 1e9;
        this.#delay.reset();
        return Number.isFinite(p99) ? p99 : 0;
      },
    );
  }

  count(metric: WorkerCounter, by: number): void {
    this.#counters.get(metric)?.inc(by);
  }
  frame(direction: "in" | "out", bytes: number): void {
    this.#frameBytes.inc({ direction }, bytes);
  }
  slotTime(us: number): void {
    this.#slotSeconds.inc(us / 1e6);
  }
  lease(seconds: number): void {
    this.#leaseSeconds.observe(seconds);
  }
  fetched(bytes: number, seconds: number): void {
    this.#fetchedBytes.inc(bytes);
    this.#fetchSeconds.observe(seconds);
  }
  close(): void {
    this.#delay.disable();
    this.registry.clear();
  }
}
