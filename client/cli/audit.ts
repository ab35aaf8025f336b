/** `volley audit`: does a kernel, or a function of yours, look ahead? Exit status 1 if it does. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Table } from "apache-arrow";
import { UsageError } from "../../cluster/process/exit-codes.js";
import { cataloguedKernel } from "../../kernels/catalog/catalog.js";
import { VolleyError } from "../../proto/errors.js";
import { type AuditInput, audit as auditFunction } from "../research/audit.js";
import type { Cluster, RemoteFunction } from "../sdk/api.js";
import { withCluster } from "./cluster.js";
import type { Output } from "./output.js";
import type { ClusterOptions } from "./program.js";

export interface AuditCommandOptions extends ClusterOptions {
  /** FILES:COLUMN, once for each table of the function. */
  data: string[];
  params?: string;
  time?: string;
  cuts: number | "all";
}

type OfTables = RemoteFunction<(...tables: Table[]) => Table>;

/** `module.ts#export` is deployed; anything else is a kernel's name. */
async function functionOf(cluster: Cluster, name: string): Promise<OfTables> {
  const [module = "", exported] = name.split("#");
  if (exported === undefined) {
    const kernel = cataloguedKernel(name);
    return cluster.kernel(kernel.name, kernel.version) as unknown as OfTables;
  }
  const library = (await cluster.deploy<Record<string, (...tables: Table[]) => Table>>(
    pathToFileURL(resolve(module)),
  )) as Record<string, unknown>;
  const found = library[exported];
  if (found === undefined)
    throw new UsageError(
      `${module} exports no ${exported}; it exports ${Object.keys(library)
        .filter((key) => !key.startsWith("$"))
        .join(", ")}`,
    );
  return found as OfTables;
}

/** What can be seen to be wrong without a cluster, and before the tables are read. */
function assertThere(name: string): void {
  const [module = "", exported] = name.split("#");
  if (exported === undefined) cataloguedKernel(name);
  else if (!existsSync(resolve(module))) throw new UsageError(`there is no file ${module}`);
}

async function inputOf(text: string): Promise<AuditInput> {
  const at = text.lastIndexOf(":");
  const [file, known] = [text.slice(0, at), text.slice(at + 1)];
  if (at <= 0 || known === "")
    throw new UsageError(
      `--data takes FILES:COLUMN, where COLUMN says when a row could be known; got ${JSON.stringify(text)}`,
    );
  const { openLake } = await import("../../data/lake/index.js");
  const table = await (await openLake(file)).table();
  const names = table.schema.fields.map(({ name }) => name);
  if (!names.includes(known))
    throw new UsageError(
      `--data ${text}: ${file} has no column ${JSON.stringify(known)}; it has ${names.slice(0, 20).join(", ")}`,
    );
  return { table, known };
}

function argsOf(params: string | undefined): unknown[] {
  if (params === undefined) return [];
  try {
    return [JSON.parse(params)];
  } catch (error) {
    throw new UsageError(`--params is not JSON: ${(error as Error).message}`);
  }
}

export async function audit(name: string, options: AuditCommandOptions, output: Output): Promise<void> {
  assertThere(name);
  const args = argsOf(options.params);
  if (options.data.length === 0)
    throw new UsageError(
      "--data is missing: FILES:COLUMN, a table of the function and its column that says when a row could be known",
    );
  const inputs = await Promise.all(options.data.map(inputOf));
  await withCluster(options, async (cluster) => {
    let emitted = 0;
    const report = await auditFunction(cluster, await functionOf(cluster, name), inputs, {
      args,
      cuts: options.cuts,
      ...(options.time === undefined ? {} : { time: options.time }),
      onProgress: ({ done, of }) => {
        if (done === of || done - emitted < of / 10) return;
        emitted = done;
        output.note(`${done} of ${of} checks`);
      },
    });
    if (report.ok || output.json) output.result(report, () => report.text);
    if (!report.ok) throw new VolleyError("LOOK_AHEAD", report.text, { details: { ...report.finding } });
  });
}
