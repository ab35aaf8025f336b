/** A file whose SHA-256 is known before it is asked for: where it comes from needs no trust. */
import { createHash } from "node:crypto";
import { Timer } from "../../../proto/timer.js";
import type { ResolveContext } from "./source.js";

/** Until the first byte: where there is no way out to the internet, the next source shall have its turn soon. */
const answerTimeoutMs = 5_000;
const idleTimeoutMs = 15_000;
const archiveBytesMax = 64 * 1024 * 1024;

/** Throws an Error of one line: no answer, a refusal, too many bytes, another hash. */
export async function downloadPinned(url: string, sha256: string, context: ResolveContext): Promise<Uint8Array> {
  context.onProgress(`downloading ${url}`);
  const bytes = await download(url, context);
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found !== sha256) throw new Error(`${url} has SHA-256 ${found}, expected ${sha256}: refused`);
  return bytes;
}

async function download(url: string, context: ResolveContext): Promise<Uint8Array> {
  const stop = new AbortController();
  const abort = () => stop.abort(context.signal?.reason);
  context.signal?.addEventListener("abort", abort, { once: true });
  const lateAfter = (ms: number) => new Timer(() => stop.abort(new Error(`no answer within ${ms / 1000} s`)), ms);
  let timer = lateAfter(answerTimeoutMs);
  try {
    const response = await fetch(url, { signal: stop.signal, redirect: "follow" });
    if (!response.ok || !response.body) throw new Error(`HTTP ${response.status}`);
    const total = Number(response.headers.get("content-length") ?? 0);
    const parts: Uint8Array[] = [];
    let received = 0;
    let emitted = 0;
    for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
      timer.stop();
      timer = lateAfter(idleTimeoutMs);
      parts.push(part);
      received += part.length;
      if (received > archiveBytesMax) throw new Error(`it is larger than ${archiveBytesMax} bytes`);
      const percent = total > 0 ? Math.floor((received / total) * 10) * 10 : 0;
      if (percent > emitted) context.onProgress(`downloaded ${percent} % of ${(total / 1e6).toFixed(1)} MB`);
      emitted = Math.max(emitted, percent);
    }
    return Buffer.concat(parts);
  } catch (error) {
    const reason = stop.signal.aborted ? stop.signal.reason : error;
    if (context.signal?.aborted) throw reason;
    throw new Error(`${url}: ${describe(reason)}`);
  } finally {
    timer.stop();
    context.signal?.removeEventListener("abort", abort);
  }
}

/** fetch hides the reason in `cause`. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause as (Error & { code?: string }) | undefined;
  return cause ? (cause.code ?? cause.message) : error.message;
}
