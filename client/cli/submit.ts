/** `volley submit`: a JSON graph as a durable job. */

import { readFile } from "node:fs/promises";
import { JobFailed, UsageError } from "../../cluster/process/exit-codes.js";
import { resolveKernel } from "../../kernels/catalog/catalog.js";
import { fromWireError, VolleyError } from "../../proto/errors.js";
import { type CompiledGraph, parseGraph } from "../../proto/graph.js";
import type { JobStatus } from "../../proto/messages/status.js";
import { withCluster } from "./cluster.js";
import { followJob } from "./follow.js";
import { jobLines } from "./job-text.js";
import type { Output } from "./output.js";
import type { ClusterOptions } from "./program.js";

const graphBytesMax = 256 * 1024 * 1024;

export async function submit(
  file: string,
  options: ClusterOptions & { wait?: boolean; key?: string },
  output: Output,
): Promise<void> {
  const graph = await readGraph(file);
  await withCluster(options, async (cluster, interrupted) => {
    const job = await cluster.run(graph, options.key === undefined ? {} : { key: options.key });
    if (!options.wait) {
      output.result({ job: job.id }, () => job.id);
      return;
    }
    output.note(`${job.id} submitted; Ctrl-C stops watching, not the job`);
    const status = await followJob(job, output, interrupted.signal);
    output.result(status, () => jobLines(status));
    throwIfFailed(status);
  });
}

/** A job that did not succeed makes the command fail with the job's own error. */
export function throwIfFailed(status: JobStatus): void {
  if (status.state === "failed") {
    const cause = status.error
      ? fromWireError(status.error)
      : new VolleyError("TASK_FAILED", `job ${status.job} failed`);
    throw new JobFailed(cause.message, { cause });
  }
  if (status.state === "cancelled") throw new VolleyError("CANCELLED", `job ${status.job} was cancelled`);
}

/** Reads and checks a graph before anything is connected. "-" is stdin. */
async function readGraph(file: string): Promise<CompiledGraph> {
  const name = file === "-" ? "stdin" : file;
  const text = await (file === "-" ? readStdin() : readFile(file, "utf8")).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(
      error.code === "ENOENT" ? `there is no file ${file}` : `${name} cannot be read: ${error.message}`,
    );
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new VolleyError("INVALID_GRAPH", `${name} is not JSON: ${(error as Error).message}`, {
      details: { path: "(root)" },
    });
  }
  return parseGraph(json, resolveKernel);
}

async function readStdin(): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of process.stdin as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > graphBytesMax) throw new UsageError(`stdin is larger than ${graphBytesMax} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
