/**
 * The look-ahead check: the same computation with the future taken away, and with the future spoilt, at every cut.
 * Nothing up to the cut may change, bit for bit. All of it runs as tasks on the cluster; a finding is the first
 * offending column, row and cut.
 *
 * The inputs are cut by when their rows could be known, so one check covers prices (known at their bar), filings (known
 * at publication), restatements (a later row for an earlier event) and universes (membership known as it changes).
 */

import { DataType, Table, type Vector } from "apache-arrow";
import { cataloguedKernels } from "../../kernels/catalog/catalog.js";
import { type Causality, causalityWith } from "../../kernels/catalog/causality.js";
import { isVolleyError, VolleyError } from "../../proto/errors.js";
import type { Cluster, ObjectRef, RemoteFunction } from "../sdk/api.js";
import { isRef } from "../sdk/refs.js";

/** A table of the audited computation, and the column that says when each of its rows could be known. */
export interface AuditInput {
  table: Table | ObjectRef<Table>;
  known: string;
}

export interface AuditOptions {
  /** Further arguments of the function, after the tables. */
  args?: readonly unknown[];
  /**
   * Column of the output with the time of a row. Without it, row i of the output belongs to row i of the first input,
   * which must be sorted by time.
   */
  time?: string;
  /** How many of the first input's times are cut at, evenly spread; default 200. */
  cuts?: number | "all";
  /**
   * What is done to the future at each cut; default both. What depends on which rows there are shows only when they are
   * taken away; what needs them all to run, only when they are spoilt.
   */
  modes?: readonly ("truncate" | "poison")[];
  onProgress?: (progress: { done: number; of: number }) => void;
}

export interface AuditFinding {
  /** `(rows)` when the number of rows differs. */
  column: string;
  /** Row of the output. */
  row: number;
  /** Milliseconds since 1970 for dates and timestamps. */
  cut: number;
  mode: "truncate" | "poison";
  withFuture: string;
  withoutFuture: string;
}

export interface AuditReport {
  ok: boolean;
  /**
   * What a kernel is declared to be with these arguments; absent for a function. A label looks ahead by design, and is
   * not ok by itself.
   */
  causality?: Causality;
  /** The first offence, in the order of the cuts. */
  finding?: AuditFinding;
  cuts: number;
  cutsPossible: number;
  /** Comparisons made: two a cut, less those that failed. */
  compared: number;
  errors: { cut: number; message: string }[];
  text: string;
}

/** Tables travel to every cut: this many are under way at once. */
const cutsAtOnce = 24;
const cutsDefault = 200;
const bothModes = ["truncate", "poison"] as const;
const doneBy = { truncate: "truncated", poison: "poisoned" } as const;

type AnyFunction = (...args: never[]) => unknown;
type Callable = { submit(...args: unknown[]): ObjectRef<unknown> };

interface Cut {
  readonly at: number;
  /** Rows of the first input known by then. */
  readonly rows: number;
  readonly mode: (typeof bothModes)[number];
}

/** Checks a kernel or function of tables for look-ahead: `fn(...tables, ...args)` must return a table. */
export function audit<F extends (...args: never[]) => unknown>(
  cluster: Cluster,
  fn: RemoteFunction<F>,
  inputs: AuditInput | readonly AuditInput[],
  options: AuditOptions = {},
): Promise<AuditReport> {
  return auditAny(cluster, fn as unknown as RemoteFunction<AnyFunction>, inputs, options);
}

/** A connection that audits by itself. */
export interface AuditingCluster extends Cluster {
  /** Checks a kernel or function of tables for look-ahead: `fn(...tables, ...args)` must return a table. */
  audit<F extends (...args: never[]) => unknown>(
    fn: RemoteFunction<F>,
    inputs: AuditInput | readonly AuditInput[],
    options?: AuditOptions,
  ): Promise<AuditReport>;
}

/** The same connection, which knows `audit` from now on. */
export function auditing(cluster: Cluster): AuditingCluster {
  const own: Pick<AuditingCluster, "audit"> = { audit: (fn, inputs, options) => audit(cluster, fn, inputs, options) };
  return Object.assign(cluster, own);
}

async function auditAny(
  cluster: Cluster,
  fn: RemoteFunction<AnyFunction>,
  given: AuditInput | readonly AuditInput[],
  options: AuditOptions,
): Promise<AuditReport> {
  const inputs = Array.isArray(given) ? (given as readonly AuditInput[]) : [given as AuditInput];
  const [first] = inputs;
  if (!first) throw new VolleyError("INVALID_ARGUMENT", "audit needs at least one input: { table, known }");
  const times = first.table instanceof Table ? (first.table.getChild(first.known) ?? undefined) : undefined;
  if (times && options.time === undefined) assertSorted(times, first.known);
  const refs = await Promise.all(inputs.map(async ({ table }) => (isRef(table) ? table : cluster.put(table))));
  const run = fn as unknown as Callable;
  const kernel = (name: string): Callable => cluster.kernel(name) as unknown as Callable;
  const count = options.cuts === "all" ? {} : { count: options.cuts ?? cutsDefault };
  const chosen = (await cluster.get(kernel("audit.cuts").submit(refs[0], { known: first.known, ...count }))) as {
    of: number;
    cuts: { at: number; rows: number }[];
  };
  const modes = [...new Set(options.modes ?? bothModes)];
  assertSomething(first, chosen.cuts.length, modes.length);
  const extra = options.args ?? [];
  const kind = declaredOf(fn, extra);
  const full = run.submit(...refs, ...extra);
  await cluster.get(full);

  const all = chosen.cuts.flatMap((cut) => modes.map((mode): Cut => ({ ...cut, mode })));
  const errors: { cut: number; message: string }[] = [];
  let compared = 0;
  for (let from = 0; from < all.length; from += cutsAtOnce) {
    const batch = all.slice(from, from + cutsAtOnce);
    const found = await Promise.all(batch.map((cut) => check(cut)));
    for (const [i, outcome] of found.entries()) {
      const cut = batch[i] as Cut;
      if (outcome instanceof Error) errors.push({ cut: cut.at, message: outcome.message });
      else compared++;
      if (outcome && !(outcome instanceof Error)) return report(outcome);
    }
    options.onProgress?.({ done: from + batch.length, of: all.length });
  }
  return report(undefined);

  async function check(cut: Cut): Promise<AuditFinding | undefined | Error> {
    const { at, mode, rows } = cut;
    const parts = refs.map((ref, k) =>
      kernel("audit.cut").submit(ref, { known: (inputs[k] as AuditInput).known, at, mode }),
    );
    const spec = { ...(options.time === undefined ? {} : { time: options.time }), at, rows };
    try {
      const difference = await cluster.get(kernel("audit.compare").submit(run.submit(...parts, ...extra), full, spec));
      return difference ? { ...(difference as Omit<AuditFinding, "cut" | "mode">), cut: at, mode } : undefined;
    } catch (error) {
      // A function may need more history than an early cut leaves; what it gives where it runs is compared.
      if (
        isVolleyError(error) &&
        (error.code === "TASK_FAILED" || error.code === "UPSTREAM_FAILED" || error.code === "INVALID_ARGUMENT")
      )
        return error;
      throw error;
    }
  }

  function report(finding: AuditFinding | undefined): AuditReport {
    if (!finding && compared === 0 && errors[0])
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `audit: the function failed at every cut, so nothing was compared: ${errors[0].message}`,
      );
    const what = `${chosen.cuts.length} of ${chosen.of} cuts, ${modes.map((mode) => doneBy[mode]).join(" and ")}`;
    const failed = errors.length > 0 ? `; ${errors.length} checks could not run (${errors[0]?.message})` : "";
    return {
      ...{ ok: finding === undefined, cuts: chosen.cuts.length, cutsPossible: chosen.of, compared, errors },
      ...(kind ? { causality: kind } : {}),
      ...(finding ? { finding } : {}),
      text: finding
        ? `${byDesign(kind, fn)}${findingText(finding, timeText(times, finding.cut))}`
        : `no look-ahead found at ${what}${failed}`,
    };
  }
}

const findingText = ({ column, row, mode, withFuture, withoutFuture }: AuditFinding, when: string): string =>
  `looks ahead: column ${column}, row ${row} changes when what was known after ${when} is ${mode === "truncate" ? "taken away" : "spoilt"}: ${withFuture} with the future, ${withoutFuture} without`;

/** A cut as people write it, where it is known to be a time. */
function timeText(times: Vector | undefined, cut: number): string {
  const type: DataType | undefined = times?.type;
  if (!type || (!DataType.isDate(type) && !DataType.isTimestamp(type))) return String(cut);
  const text = new Date(cut).toISOString();
  return text.endsWith("T00:00:00.000Z") ? text.slice(0, 10) : text;
}

/**
 * Row i of the output belongs to row i of the first table: then its first rows are what was known first. Throws
 * INVALID_ARGUMENT.
 */
function assertSorted(times: Vector, known: string): void {
  let last: unknown = null;
  for (let row = 0; row < times.length; row++) {
    const time: unknown = times.get(row);
    if (time === null) continue;
    if (last !== null && (time as number) < (last as number))
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `audit: the rows of the first table are not in the order of ${JSON.stringify(known)} (row ${row} is earlier than the one before): sort them, or say with the option time which column of the output has the time of a row`,
        { details: { column: known, row } },
      );
    last = time;
  }
}

/** Nothing compared is no pass. Throws INVALID_ARGUMENT. */
function assertSomething({ known }: AuditInput, cuts: number, modes: number): void {
  if (cuts === 0)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `audit: column ${JSON.stringify(known)} of the first table has one time or none: there is no future to take away`,
    );
  if (modes === 0)
    throw new VolleyError("INVALID_ARGUMENT", "audit: options.modes is []: give truncate, poison or both");
}

/** What is declared of a kernel, with these arguments; nothing of a function. */
function declaredOf({ ref }: RemoteFunction<AnyFunction>, args: readonly unknown[]): Causality | undefined {
  if (!("kernel" in ref)) return undefined;
  const kernel = cataloguedKernels().find(({ name, version }) => name === ref.kernel && version === ref.version);
  return kernel && causalityWith(kernel, args);
}

/** What a finding means for a kernel that was never said to be causal. */
function byDesign(kind: Causality | undefined, { ref }: RemoteFunction<AnyFunction>): string {
  const name = "kernel" in ref ? ref.kernel : "";
  if (kind === "label")
    return `by design, ${name} with these arguments gives labels, whose rows say what came after their bars; audit what is made of them, where they are lagged by their horizon. It `;
  if (kind === "summary")
    return `by design, ${name} gives figures of its whole input, which belong to its end; audit what uses them at which bars. Row by row it `;
  return "";
}
