/**
 * What commands print: results to stdout, everything else to stderr. With --json stdout carries exactly one JSON value.
 */

export interface Output {
  readonly json: boolean;
  /** The command's result: `value` with --json, else what `text` makes of it. */
  result(value: unknown, text: () => string): void;
  /** For a person who watches; silent with --json. */
  note(line: string): void;
}

export function createOutput(json: boolean): Output {
  return {
    json,
    result: (value, text) => {
      const shown = json ? JSON.stringify(value, jsonSafe) : text();
      if (shown !== "") process.stdout.write(shown.endsWith("\n") ? shown : `${shown}\n`);
    },
    note: (line) => {
      if (!json) process.stderr.write(`${line}\n`);
    },
  };
}

/** Integers that JSON numbers cannot hold become strings; bytes become base64. */
export function jsonSafe(_key: string, value: unknown): unknown {
  if (typeof value === "bigint")
    return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
      ? Number(value)
      : value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return value;
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes}m${String(Math.floor((ms % 60_000) / 1_000)).padStart(2, "0")}s`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, "0")}m`;
}

/** Columns of left-aligned text with two spaces between; numbers right-aligned. */
export function formatTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => String(row[column] ?? "").length)),
  );
  const line = (cells: readonly (string | number)[]) =>
    cells
      .map((cell, column) =>
        typeof cell === "number" ? String(cell).padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd();
  const numeric = head.map((_, column) => typeof rows[0]?.[column] === "number");
  const title = head.map((text, column) => (numeric[column] ? text.padStart(widths[column] ?? 0) : text));
  return [line(title), ...rows.map(line)].join("\n");
}
