/**
 * `volley demo`: a real sweep on a cluster of this machine, from the prices' CSV to a report; then the same job once
 * more over HTTP, which must give the same digest without executing anything.
 */

import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Table } from "apache-arrow";
import { type LocalCluster, startLocalCluster } from "../../../cluster/local/local-cluster.js";
import { Interrupted } from "../../../cluster/process/exit-codes.js";
import { loadCsv } from "../../../data/ingest/index.js";
import { resolveKernel } from "../../../kernels/catalog/catalog.js";
import { VolleyError } from "../../../proto/errors.js";
import { parseGraph } from "../../../proto/graph.js";
import type { JobStatus } from "../../../proto/messages/status.js";
import type { Job } from "../../sdk/api.js";
import { connect } from "../../sdk/index.js";
import { followJob } from "../follow.js";
import { interruption } from "../interruption.js";
import { createOutput, type Output } from "../output.js";
import { describeEvent } from "../up.js";
import { megabytes, seconds, whole } from "./number-text.js";
import { readOutcome, type SweepOutcome } from "./outcome.js";
import { type Gateway, runOverHttp, uploadCsv } from "./over-http.js";
import { combinationsIn, demoFamilies, sweepGraph } from "./plan.js";
import { type RunFacts, reportPage } from "./report/page.js";
import { summaryJson, summaryLines, summaryTable } from "./summary.js";

export interface DemoOptions {
  readonly json?: boolean;
  readonly workers?: number;
  /** Where the report is written. */
  readonly out: string;
  /** Leave the cluster running until Ctrl-C. */
  readonly keep?: boolean;
}

interface Run {
  readonly seconds: number;
  readonly status: JobStatus;
  readonly digest: string;
}

/** Resolves when everything is cleaned up; throws what went wrong, {@link Interrupted} after Ctrl-C. */
export async function runDemo(options: DemoOptions): Promise<void> {
  const startedAtMs = performance.now();
  const result = createOutput(options.json ?? false);
  // Progress goes to stderr also with --json: stdout carries the object alone.
  const progress = createOutput(false);
  const interrupted = interruption(() => progress.note("stopping (Ctrl-C again: at once)"));
  const cluster = await startLocalCluster({
    signal: interrupted.signal,
    onEvent: (event) => progress.note(describeEvent(event)),
    ...(options.workers === undefined ? {} : { workers: options.workers }),
  });
  try {
    const work = demonstrate(cluster, options, startedAtMs, result, progress, interrupted.signal);
    work.catch(() => {}); // After Ctrl-C its connections break under it.
    await Promise.race([work, interrupted.promise]);
    if (options.keep) {
      progress.note(
        `The cluster stays up until Ctrl-C. VOLLEY_URL=${cluster.url}\ngateway ${cluster.gatewayUrl}, token ${cluster.token}`,
      );
      await interrupted.promise;
    }
  } finally {
    await cluster.stop();
  }
}

async function demonstrate(
  local: LocalCluster,
  options: DemoOptions,
  startedAtMs: number,
  result: Output,
  progress: Output,
  signal: AbortSignal,
): Promise<void> {
  const gateway: Gateway = { url: gatewayOf(local), token: local.token, signal };
  // copy-prices.mjs puts it there.
  const csv = await readFile(new URL("./sp500-2000.csv", import.meta.url));
  const prices = await loadCsv(csv);
  progress.note(
    `prices: ${whole(prices.table.numRows)} daily bars of the S&P 500, ${megabytes(prices.data.byteLength)} as Arrow`,
  );

  await using cluster = await connect({ url: local.url });
  const ref = await cluster.put(prices.table, { durable: true });
  const graph = sweepGraph(ref.id);
  const combinations = demoFamilies.reduce((sum, family) => sum + combinationsIn(family), 0);
  progress.note(
    `sweeping ${whole(combinations)} combinations of ${demoFamilies.map((family) => family.title.toLowerCase()).join(", ")}`,
  );
  const sdkStartedMs = performance.now();
  const job = await cluster.run(parseGraph(graph, resolveKernel));
  const sdk = runOf(await followJob(job, progress, signal), sdkStartedMs);
  const outcome = await outcomeOf(
    job,
    graph.stages.map((stage) => stage.name),
  );

  progress.note("the same job again, as JSON over HTTP");
  const gatewayStartedMs = performance.now();
  const uploaded = await uploadCsv(gateway, csv);
  if (uploaded !== ref.id)
    throw new VolleyError(
      "NONDETERMINISTIC",
      `the same prices are ${ref.id} from the SDK and ${uploaded} from the gateway`,
    );
  const again = runOf(await runOverHttp(gateway, sweepGraph(uploaded), `demo-${job.id}`), gatewayStartedMs);

  const { workers } = await cluster.workers();
  const facts: RunFacts = {
    tasks: sdk.status.tasks,
    workers: workers.length,
    resultBytes: sdk.status.resultBytes,
    inputBytes: prices.data.byteLength,
    combinations,
    sdk: factsOf(sdk),
    gateway: factsOf(again),
  };
  await finish(outcome, facts, options, startedAtMs, result);
}

async function finish(
  outcome: SweepOutcome,
  facts: RunFacts,
  options: DemoOptions,
  startedAtMs: number,
  result: Output,
): Promise<void> {
  const report = resolve(options.out);
  await writeFile(report, reportPage(outcome, facts));
  const total = (performance.now() - startedAtMs) / 1_000;
  result.result(
    summaryJson(outcome, facts, total, report),
    () => `\n${summaryTable(outcome)}\n\n${summaryLines(facts, total, report)}`,
  );
  if (facts.sdk.digest !== facts.gateway.digest)
    throw new VolleyError("NONDETERMINISTIC", "the same job gave two digests; the report shows both");
  if (facts.gateway.executed > 0) {
    throw new VolleyError(
      "INTERNAL",
      `the second run executed ${facts.gateway.executed} tasks (${seconds(facts.gateway.seconds)}) although all of them had results in the store`,
    );
  }
}

function gatewayOf(local: LocalCluster): string {
  if (local.gatewayUrl) return local.gatewayUrl;
  throw new VolleyError("INTERNAL", "the local cluster came up without a gateway");
}

/** Throws the job's error unless it succeeded. */
function runOf(status: JobStatus, startedMs: number): Run {
  if (status.state === "succeeded" && status.digest !== undefined)
    return { seconds: (performance.now() - startedMs) / 1_000, status, digest: status.digest };
  throw new VolleyError(
    status.error?.code ?? "INTERNAL",
    `job ${status.job} ${status.state}${status.error ? `: ${status.error.message}` : " without a digest"}`,
  );
}

const factsOf = ({ seconds: took, status, digest }: Run): RunFacts["sdk"] => ({
  seconds: took,
  digest,
  executed: status.executed,
  reused: status.reused,
});

/** Every stage but the sweeps themselves has one task, whose result is a table. */
async function outcomeOf(job: Job, stages: readonly string[]): Promise<SweepOutcome> {
  const tables = new Map<string, Table>();
  for (const [index, name] of stages.entries()) {
    if (name.startsWith("sweep-")) continue;
    const [table] = await job.results<Table>(index);
    if (table) tables.set(name, table);
  }
  return readOutcome((name) => {
    const table = tables.get(name);
    if (!table) throw new VolleyError("INTERNAL", `stage ${name} gave no result`);
    return table;
  });
}
