/**
 * The user's cache of provisioned servers: <cache>/volley/nats-server/<version>/nats-server.
 * A binary appears there by a rename and is never changed, so that readers need no lock; the lock only spares two
 * processes the same work.
 */
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { access, chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sleep as delay } from "../../../proto/timer.js";
import { isAlive } from "../guarded-process.js";
import { homeFolder } from "../home-folder.js";
import { checkedVersion, compareVersions, type NatsBinary, type NatsSource, type ResolveContext } from "./source.js";

const lockPollMs = 200;

export const cacheDir = (env: ResolveContext["env"]): string =>
  join(env.XDG_CACHE_HOME || join(homeFolder(env), ".cache"), "volley", "nats-server");

export const userCache: NatsSource = {
  name: "cache",
  provisions: false,
  async find({ env }) {
    const folder = cacheDir(env);
    const versions = (await readdir(folder).catch(() => []))
      .filter((name) => /^\d/.test(name))
      .sort((a, b) => compareVersions(b, a));
    const faults: string[] = [];
    for (const name of versions) {
      const path = join(folder, name, "nats-server");
      try {
        await access(path, constants.X_OK);
        return { path, version: await checkedVersion(path), source: this.name };
      } catch (error) {
        faults.push((error as Error).message);
      }
    }
    throw new Error(faults.length > 0 ? faults.join("; ") : `nothing in ${folder}`);
  },
};

/**
 * `make` puts a nats-server somewhere into the folder it is given (or elsewhere) and returns its path; it is checked
 * and moved into the cache. Whatever `make` leaves behind in the folder is removed.
 */
export async function provision(
  context: ResolveContext,
  source: string,
  make: (folder: string) => Promise<string>,
): Promise<NatsBinary> {
  const cache = cacheDir(context.env);
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const work = await mkdtemp(join(cache, ".work-"));
  try {
    const made = await make(work);
    await chmod(made, 0o755);
    const version = await checkedVersion(made);
    const path = join(cache, version, "nats-server");
    await mkdir(join(cache, version), { recursive: true, mode: 0o755 });
    const ready = join(work, "ready");
    await copyFile(made, ready); // `made` may lie on another file system, where a rename is impossible.
    await chmod(ready, 0o755);
    await rename(ready, path);
    return { path, version, source };
  } finally {
    await rm(work, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Runs `work` while no other process of this user provisions. A lock whose owner is gone does not count. */
export async function withCacheLock<T>(context: ResolveContext, work: () => Promise<T>): Promise<T> {
  const cache = cacheDir(context.env);
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const lock = join(cache, ".lock");
  const mine = `${process.pid} ${randomUUID()}`;
  let emitted = false;
  for (;;) {
    context.signal?.throwIfAborted();
    const taken = await writeFile(lock, mine, { flag: "wx" }).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === "EEXIST") return false;
        throw error;
      },
    );
    if (taken) break;
    const holder = Number.parseInt(await readFile(lock, "utf8").catch(() => ""), 10);
    if (Number.isInteger(holder) && !isAlive(holder)) {
      // If a fresh one is hit, two processes do the same work once; the cache stays whole.
      await rm(lock, { force: true });
      continue;
    }
    if (!emitted) context.onProgress(`waiting for process ${holder}, which is provisioning nats-server`);
    emitted = true;
    await delay(lockPollMs, undefined, context.signal ? { signal: context.signal } : {});
  }
  try {
    return await work();
  } finally {
    if ((await readFile(lock, "utf8").catch(() => "")) === mine) await rm(lock, { force: true });
  }
}
