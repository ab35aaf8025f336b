/**
 * Stacks of functions that failed on the cluster, as their author wrote them: lines of a bundle become lines of its
 * sources, and the worker's own frames are left out. Only for bundles that this connection has deployed; other stacks
 * stay as they came.
 */
import { SourceMap, type SourceMapPayload } from "node:module";
import { resolve } from "node:path";
import type { VolleyError, WireError } from "../../proto/errors.js";
import { errorOfTask } from "../../proto/values/thrown.js";
import type { Bundle } from "./deploy.js";

/** A frame in a bundle: its function, the bundle's id, line and column. */
const bundleFrame = /^(\s+at )(?:(.*?) \()?(?:file:\/\/)?[^\s()]*?([0-9a-f]{64})\.m?js:(\d+):(\d+)\)?$/;
const causesMax = 16;
const mapComment = "//# sourceMappingURL=data:application/json;base64,";

export class StackTraces {
  readonly #bundles = new Map<string, Bundle>();
  readonly #maps = new Map<string, SourceMap | undefined>();

  add(bundle: Bundle): void {
    if (!this.#bundles.has(bundle.id)) this.#maps.delete(bundle.id);
    this.#bundles.set(bundle.id, bundle);
  }

  /** The error of a task, with its stack in terms of the sources. */
  errorOf(wire: WireError): VolleyError {
    const error = errorOfTask(wire, wire.stack === undefined ? undefined : this.rewrite(wire.stack));
    this.#rewriteCauses(error.cause, 0);
    return error;
  }

  /** Causes and inner errors have stacks of their own, as fields. */
  #rewriteCauses(error: unknown, depth: number): void {
    if (!(error instanceof Error) || depth > causesMax) return;
    const inner = error as { remoteStack?: unknown; errors?: unknown };
    if (typeof inner.remoteStack === "string") inner.remoteStack = this.rewrite(inner.remoteStack);
    this.#rewriteCauses(error.cause, depth + 1);
    if (Array.isArray(inner.errors)) for (const one of inner.errors) this.#rewriteCauses(one, depth + 1);
  }

  rewrite(stack: string): string {
    const lines = stack.split("\n");
    if (!lines.some((line) => bundleFrame.test(line))) return stack;
    const rewritten = lines.map((line) => this.#frame(line));
    // What stands below the bundle's last frame called it: the worker.
    const last = lines.findLastIndex((line) => bundleFrame.test(line));
    return rewritten.slice(0, last + 1).join("\n");
  }

  #frame(line: string): string {
    const [, at, name, id, row, column] = bundleFrame.exec(line) ?? [];
    if (at === undefined || id === undefined) return line;
    const bundle = this.#bundles.get(id);
    const entry = this.#map(id)?.findEntry(Number(row) - 1, Number(column) - 1);
    if (!bundle || !entry || !("originalSource" in entry)) return line;
    const place = `${resolve(bundle.folder, entry.originalSource)}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
    return name === undefined ? `${at}${place}` : `${at}${name.replace(/^Execution\./, "")} (${place})`;
  }

  #map(id: string): SourceMap | undefined {
    if (!this.#maps.has(id)) this.#maps.set(id, parseMap(this.#bundles.get(id)));
    return this.#maps.get(id);
  }
}

function parseMap(bundle: Bundle | undefined): SourceMap | undefined {
  if (!bundle) return undefined;
  const code = Buffer.from(bundle.code.buffer, bundle.code.byteOffset, bundle.code.byteLength);
  const at = code.lastIndexOf(mapComment);
  if (at < 0) return undefined;
  const json = Buffer.from(code.subarray(at + mapComment.length).toString("latin1"), "base64").toString();
  return new SourceMap(JSON.parse(json) as SourceMapPayload);
}
