/**
 * One nats-server per data folder: nats-server itself takes no lock, and two of them on one JetStream store destroy it.
 * The lock is a file made exclusively that names a process; it is void when that process is gone.
 */
import { randomUUID } from "node:crypto";
import { link, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { VolleyError } from "../../proto/errors.js";
import { sleep as delay } from "../../proto/timer.js";
import { isAlive } from "./guarded-process.js";

const lockFile = "volley.lock";
/** A server that was just killed may take this long to disappear. */
const patienceMs = 1_500;
/**
 * Folders this very process is starting a server in: a pid in the file cannot tell two callers of one process apart.
 */
const startingHere = new Set<string>();

export interface DataLock {
  /** Names the server whose end voids the lock; until then it is the process that took it. */
  assign(serverPid: number): Promise<void>;
  release(): Promise<void>;
}

/** Fails with CONFLICT if a living process holds the folder. `dataDir` is absolute. */
export async function lockDataDir(dataDir: string): Promise<DataLock> {
  const path = join(dataDir, lockFile);
  const mine = `starter ${process.pid}\n`;
  const deadline = performance.now() + patienceMs;
  for (;;) {
    if (await create(path, mine)) break;
    const found = await readFile(path, "utf8").catch(() => "");
    if (!(await isHeld(found, dataDir))) {
      await moveAway(path, found);
    } else if (performance.now() > deadline) {
      throw new VolleyError(
        "CONFLICT",
        `The data folder ${dataDir} is in use by process ${found.split(" ")[1]?.trim()}; stop it, or choose another with --data-dir or --ephemeral.`,
      );
    } else {
      await delay(25);
    }
  }
  startingHere.add(dataDir);
  let content = mine;
  return {
    async assign(serverPid) {
      startingHere.delete(dataDir);
      // Somebody who read a stale lock may have moved ours away in the same moment (see moveAway).
      if ((await readFile(path, "utf8").catch(() => "")) !== mine)
        throw new VolleyError(
          "CONFLICT",
          `The data folder ${dataDir} was taken by another process in the same moment.`,
        );
      content = `server ${serverPid}\n`;
      const next = `${path}.${serverPid}.next`;
      await writeFile(next, content, { mode: 0o600 });
      await rename(next, path);
    },
    async release() {
      startingHere.delete(dataDir);
      // A successor may hold it by now.
      if ((await readFile(path, "utf8").catch(() => "")) === content) await unlink(path).catch(() => undefined);
    },
  };
}

/** Written aside and linked, so that nobody ever reads half a lock. */
async function create(path: string, content: string): Promise<boolean> {
  const fresh = `${path}.${randomUUID()}.new`;
  await writeFile(fresh, content, { mode: 0o600 });
  try {
    await link(fresh, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    await unlink(fresh);
  }
}

/** Moves a void lock away. If it turns out to be a fresh one of somebody else's, gives it back. */
async function moveAway(path: string, expected: string): Promise<void> {
  const aside = `${path}.${process.pid}.stale`;
  try {
    await rename(path, aside);
    if ((await readFile(aside, "utf8")) !== expected) await link(aside, path);
    await unlink(aside);
  } catch {
    // Another was quicker; the next round sees what it did.
  }
}

async function isHeld(lock: string, dataDir: string): Promise<boolean> {
  const [holder, pidText] = lock.split(" ", 2);
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 0) return false;
  if (pid === process.pid) return startingHere.has(dataDir);
  if (!isAlive(pid)) return false;
  // After a restart of machine or container the pid may be somebody else's. Where /proc tells, ask; elsewhere believe
  // the file.
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => undefined);
  if (commandLine === undefined) return isAlive(pid);
  return holder === "server" ? commandLine.includes(dataDir) : /node|volley/.test(commandLine);
}
