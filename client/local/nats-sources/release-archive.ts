/** The official release archive, checked against the SHA-256 in pinned.ts before anything of it is run. */
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pinnedArchive, pinnedVersion } from "./pinned.js";
import { type NatsSource, type ResolveContext, runTool } from "./source.js";
import { provision } from "./user-cache.js";

const officialUrl = "https://github.com/nats-io/nats-server/releases/download";
/** Until the first byte: where there is no way out to the internet, the next source shall have its turn soon. */
const answerTimeoutMs = 5_000;
const idleTimeoutMs = 15_000;
const archiveBytesMax = 64 * 1024 * 1024;

export const releaseArchive: NatsSource = {
  name: "release archive",
  provisions: true,
  async find(context) {
    const archive = pinnedArchive();
    // A mirror needs no trust: the hash decides.
    const base = (context.env.VOLLEY_NATS_RELEASES || officialUrl).replace(/\/+$/, "");
    const url = `${base}/v${pinnedVersion}/${archive.name}.tar.gz`;
    return provision(context, this.name, async (folder) => {
      context.onProgress(`downloading ${url}`);
      const bytes = await download(url, context);
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      if (sha256 !== archive.sha256) throw new Error(`${url} has SHA-256 ${sha256}, expected ${archive.sha256}: refused`);
      const file = join(folder, "archive.tar.gz");
      await writeFile(file, bytes);
      await runTool("tar", ["-xzf", file, "-C", folder, `${archive.name}/nats-server`], { timeoutMs: 60_000, signal: context.signal });
      return join(folder, archive.name, "nats-server");
    });
  },
};

async function download(url: string, context: ResolveContext): Promise<Uint8Array> {
  const stop = new AbortController();
  const abort = () => stop.abort(context.signal?.reason);
  context.signal?.addEventListener("abort", abort, { once: true });
  const lateAfter = (ms: number) => setTimeout(() => stop.abort(new Error(`no answer within ${ms / 1000} s`)), ms);
  let timer = lateAfter(answerTimeoutMs);
  try {
    const response = await fetch(url, { signal: stop.signal, redirect: "follow" });
    if (!response.ok || !response.body) throw new Error(`HTTP ${response.status}`);
    const total = Number(response.headers.get("content-length") ?? 0);
    const parts: Uint8Array[] = [];
    let received = 0;
    let told = 0;
    for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
      clearTimeout(timer);
      timer = lateAfter(idleTimeoutMs);
      parts.push(part);
      received += part.length;
      if (received > archiveBytesMax) throw new Error(`it is larger than ${archiveBytesMax} bytes`);
      const percent = total > 0 ? Math.floor((received / total) * 10) * 10 : 0;
      if (percent > told) context.onProgress(`downloaded ${percent} % of ${(total / 1e6).toFixed(1)} MB`);
      told = Math.max(told, percent);
    }
    return Buffer.concat(parts);
  } catch (error) {
    const reason = stop.signal.aborted ? stop.signal.reason : error;
    if (context.signal?.aborted) throw reason;
    throw new Error(`${url}: ${describe(reason)}`);
  } finally {
    clearTimeout(timer);
    context.signal?.removeEventListener("abort", abort);
  }
}

/** fetch hides the reason in `cause`. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause as (Error & { code?: string }) | undefined;
  return cause ? (cause.code ?? cause.message) : error.message;
}
