/**
 * Functions that the whole-cluster tests deploy. Each execution leaves a line in a file, so that a test can count what
 * really ran.
 */
import { createHash, randomBytes } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { type Table, tableFromArrays } from "apache-arrow";

/** Waits, notes that it ran, and returns a value that depends on its arguments only. */
export async function step(i: number, ms: number, log: string): Promise<{ i: number; square: number; text: string }> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  appendFileSync(log, `step ${i}\n`);
  return { i, square: i * i, text: `value ${i}` };
}

/** A table too large to travel inside its commit. */
export function widen(row: { i: number; square: number }): Table {
  const values = Float64Array.from({ length: 4_000 }, (_, k) => row.square + Math.sqrt(k * (row.i + 1)));
  return tableFromArrays({ k: Int32Array.from({ length: 4_000 }, (_, k) => k), value: values });
}

/** Adds up the tables' values in task order: the same bits whatever the cluster did meanwhile. */
export function total(tables: Table[]): { tables: number; sum: number } {
  let sum = 0;
  for (const table of tables) for (const value of table.getChild("value") ?? []) sum += value as number;
  return { tables: tables.length, sum };
}

/** Other bytes at every execution. */
export async function draw(i: number, ms: number, bytes: number, log: string): Promise<Uint8Array> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  appendFileSync(log, `${i}\n`);
  return new Uint8Array(randomBytes(bytes));
}

export const fingerprint = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");
export const fingerprints = (list: readonly Uint8Array[]): string[] => list.map(fingerprint);

export interface Picked {
  readonly i: number;
  readonly picked: number;
  readonly pad: Uint8Array;
}

/** Impure: another value each time it is executed. */
export async function pick(i: number, ms: number, padBytes: number): Promise<Picked> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return { i, picked: Math.random(), pad: new Uint8Array(padBytes) };
}

/** What a task sees of the values that it is given. */
export const seen = (values: readonly Picked[]): number[] => values.map(({ picked }) => picked);
export const seenOne = ({ picked }: Picked): number => picked;

/** Fails when it has not been tried before, which only its file knows. */
export function secondTry(i: number, log: string): number {
  const tried = existsSync(log) && readFileSync(log, "utf8").includes(`try ${i}\n`);
  appendFileSync(log, `try ${i}\n`);
  if (!tried) throw new Error("not at the first try");
  return i;
}

export const sizeOf = (data: Uint8Array): number => data.byteLength;

/** Takes its time, and one number of what all tasks share. */
export async function quote(i: number, values: Float64Array, ms: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return values[i] as number;
}
