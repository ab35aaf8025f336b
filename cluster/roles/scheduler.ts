/**
 * The scheduler as a process: configuration, connections, the metrics port. Signals are role.ts's.
 */
import { pino } from "pino";
import { openDurable } from "../../proto/durable/nats.js";
import { connectNats } from "../../proto/transport/nats.js";
import type { State } from "../../scheduler/core/index.js";
import { Capture } from "../../scheduler/shell/capture.js";
import { SchedulerMetrics } from "../../scheduler/shell/metrics.js";
import { realCore } from "../../scheduler/shell/real-core.js";
import { exitCodes, SchedulerShell } from "../../scheduler/shell/shell.js";
import { type ConfigOf, type ConfigTable, configKey, integer, optionalText } from "../process/config.js";
import { type MetricsServer, serveMetrics } from "../process/metrics-server.js";
import { packageVersion } from "../process/release.js";
import { metricsConfig, roleConfig } from "../process/role-config.js";

export const schedulerConfig = {
  ...roleConfig,
  ...metricsConfig,
  tickMs: configKey({
    env: "VOLLEY_TICK_MS",
    flag: "tick-ms",
    doc: "How often timers are looked at, milliseconds.",
    default: 50,
    parse: integer(1, 1_000),
  }),
  snapshotEntries: configKey({
    env: "VOLLEY_SNAPSHOT_ENTRIES",
    flag: "snapshot-entries",
    doc: "A snapshot is taken after this many journal entries.",
    default: 5_000,
    parse: integer(1, 1_000_000_000),
  }),
  snapshotBytes: configKey({
    env: "VOLLEY_SNAPSHOT_BYTES",
    flag: "snapshot-bytes",
    doc: "A snapshot is taken after this many bytes of journal entries.",
    default: 32 * 1024 * 1024,
    parse: integer(1, Number.MAX_SAFE_INTEGER),
  }),
  acceptJournalLoss: configKey({
    env: "VOLLEY_ACCEPT_JOURNAL_LOSS",
    flag: "accept-journal-loss",
    doc: "Starts although the journal is lost or older than its snapshots, and forgets what it lacks: the number that JOURNAL_LOST named. Any other changes nothing.",
    default: 0,
    parse: integer(0, Number.MAX_SAFE_INTEGER),
  }),
  capture: configKey<string | null>({
    env: "VOLLEY_CAPTURE",
    flag: "capture",
    doc: "A file to which every event that the scheduler's core takes in is written, for `npm run sim -- replay`. It has what clients and workers send, arguments and small results too. Each start begins it anew and keeps those of the three starts before, as FILE.1 to FILE.3.",
    default: null,
    defaultDoc: "none",
    parse: optionalText,
  }),
  captureBytes: configKey({
    env: "VOLLEY_CAPTURE_BYTES",
    flag: "capture-bytes",
    doc: "A capture ends when its file has so many bytes; the scheduler goes on.",
    default: 256 * 1024 * 1024,
    parse: integer(1, Number.MAX_SAFE_INTEGER),
  }),
} satisfies ConfigTable;

export interface RunningScheduler {
  stop(): Promise<void>;
  /** -1: none. */
  readonly metricsPort: number;
}

/** Starts a scheduler; resolves when it serves. `exit` is called when it must not live on (fenced: 1, a bug: 70). */
export async function runScheduler(
  config: ConfigOf<typeof schedulerConfig>,
  exit: (code: number) => void = (code) => process.exit(code),
): Promise<RunningScheduler> {
  // Written at once: the last lines before an exit are the ones that matter.
  const log = pino({ name: "scheduler", level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
  const transport = await connectNats({
    url: config.url,
    name: "volley-scheduler",
    onError: (error, where) => log.error({ error: String(error), where }, "transport"),
  });
  const metrics = new SchedulerMetrics();
  let server: MetricsServer | undefined;
  const { capture: file, captureBytes: bytesMax } = config;
  const onEnd = (why: string): void => log.warn({ file }, `nothing more is captured: ${why}`);
  const capture = file === null ? undefined : new Capture({ file, bytesMax, volley: packageVersion(), onEnd });
  try {
    const durable = await openDurable(transport);
    let shell: SchedulerShell<State> | undefined;
    const serve = async (): Promise<void> => {
      const onFatal = (_error: Error, code: number): void => {
        if (code === exitCodes.again) starting = starting.then(serve).catch(giveUp);
        else exit(code);
      };
      shell = await SchedulerShell.start({
        ...config,
        capture,
        core: realCore,
        transport,
        durable,
        metrics,
        log,
        onFatal,
      });
      log.info({ epoch: shell.epoch }, "serving");
    };
    const giveUp = (error: unknown): void => {
      log.error({ error: String(error) }, "the scheduler could not start again");
      exit(exitCodes.fenced);
    };
    let starting = serve();
    await starting;
    if (config.metricsPort >= 0) {
      server = await serveMetrics({
        port: config.metricsPort,
        contentType: metrics.registry.contentType,
        scrape: () => metrics.scrape(),
        health: () => ({
          ok: shell?.healthy === true,
          role: "scheduler",
          epoch: shell?.epoch ?? 0,
          journalSeq: shell?.lastSeq ?? 0,
        }),
      });
    }
    log.info({ metricsPort: server?.port ?? -1 }, "ready");
    const close = async (): Promise<void> => {
      await starting;
      await shell?.stop();
      await server?.close();
      metrics.close();
      await transport.close();
    };
    let stopping: Promise<void> | undefined;
    return { metricsPort: server?.port ?? -1, stop: () => (stopping ??= close()) };
  } catch (error) {
    metrics.close();
    await transport.close();
    throw error;
  }
}
