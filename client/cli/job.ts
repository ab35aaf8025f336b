/** `volley job`: a job's state, its progress, or its results in the same forms as the gateway's. */
import { createWriteStream, statSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { UsageError } from "../../cluster/process/exit-codes.js";
import type { Cluster } from "../sdk/api.js";
import { withCluster } from "./cluster.js";
import { followJob } from "./follow.js";
import { jobLines } from "./job-text.js";
import type { Output } from "./output.js";
import type { ClusterOptions } from "./program.js";
import { throwIfFailed } from "./submit.js";

export interface JobOptions extends ClusterOptions {
  readonly watch?: boolean;
  readonly result?: boolean;
  readonly stage?: number;
  readonly format: "json" | "csv" | "arrow" | "parquet";
  readonly output?: string;
}

export async function job(id: string, options: JobOptions, output: Output): Promise<void> {
  if (options.output !== undefined && !options.result)
    throw new UsageError("-o says where results go, so it needs --result");
  if (options.result && options.json && options.format !== "json")
    throw new UsageError(`--json prints one JSON value, so it does not go with --format ${options.format}`);
  if (
    options.result &&
    (options.format === "arrow" || options.format === "parquet") &&
    options.output === undefined &&
    process.stdout.isTTY
  )
    throw new UsageError(
      `${options.format === "arrow" ? "an Arrow stream" : "Parquet"} is not for a terminal: give a file with -o, or pipe it`,
    );
  if (options.output !== undefined) assertWritable(options.output);
  await withCluster(options, async (cluster, interrupted) => {
    const handle = cluster.job(id);
    const status = options.watch ? await followJob(handle, output, interrupted.signal) : await handle.status();
    if (!options.result) {
      output.result(status, () => jobLines(status));
      if (options.watch) throwIfFailed(status);
      return;
    }
    throwIfFailed(status);
    await writeResults(cluster, id, options, output);
  });
}

async function writeResults(cluster: Cluster, id: string, options: JobOptions, output: Output): Promise<void> {
  const { render } = await import("../gateway/result-rendering.js");
  const { body } = await render(options.format, cluster.job(id).stream(options.stage), { job: id });
  if (options.output === undefined) {
    await toStdout(body);
    return;
  }
  // Written aside first: a file of that name is either the whole result or what it was before.
  const part = `${options.output}.${process.pid}.part`;
  try {
    await pipeline(body, createWriteStream(part));
    await rename(part, options.output);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  output.result({ job: id, format: options.format, file: options.output }, () => options.output ?? "");
}

/** Said before the results are fetched. */
function assertWritable(file: string): void {
  const kindOf = (path: string): "folder" | "file" | undefined => {
    const found = statSync(path, { throwIfNoEntry: false });
    return found && (found.isDirectory() ? "folder" : "file");
  };
  if (kindOf(file) === "folder") throw new UsageError(`${file} is a folder; -o takes the name of a file`);
  if (kindOf(dirname(resolve(file))) !== "folder") throw new UsageError(`${file}: there is no folder ${dirname(file)}`);
}

async function toStdout(body: Readable): Promise<void> {
  for await (const part of body as AsyncIterable<Uint8Array>) {
    if (!process.stdout.write(part)) await new Promise((resolve) => process.stdout.once("drain", resolve));
  }
}
