/** Where objects go that do not fit into memory: one private folder per process, checked bytes, nothing left behind. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { open, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { VolleyError } from "../../proto/errors.js";
import { namedFolder, privateFolder, userFolder } from "./user-folder.js";

/** Names of folders carry host and process, so that a stranger's are left alone and a dead process's are found. */
const host = hostname().replace(/[^A-Za-z0-9.-]/g, "_");

export interface Spilled {
  readonly file: string;
  readonly bytes: number;
  readonly crc: number;
}

/** What the store asks of a disk. */
export type SpillPlace = Pick<SpillFolder, "bytes" | "refusal" | "write" | "read" | "remove" | "removeAll">;

export class SpillFolder {
  readonly path: string;
  readonly bytesMax: number;
  #bytes = 0;
  #next = 0;
  readonly #onExit = (): void => this.removeAll();

  /**
   * Creates the folder (0700) under `named`, or under a folder of this user's among the temporary files, and removes
   * those of dead processes of this host.
   */
  constructor(bytesMax: number, named?: string) {
    const parent = named === undefined ? privateFolder(userFolder("volley-spill")) : namedFolder(named);
    removeStale(parent);
    this.path = join(parent, `${host}~${process.pid}~${randomBytes(4).toString("hex")}`);
    mkdirSync(this.path, { mode: 0o700 });
    process.once("exit", this.#onExit);
    this.bytesMax = bytesMax;
  }

  /** On disk, or on their way there. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Why `bytes` more are not taken; undefined: they are. */
  refusal(bytes: number): string | undefined {
    return this.#bytes + bytes <= this.bytesMax
      ? undefined
      : `the spill folder holds ${this.#bytes} of ${this.bytesMax} bytes`;
  }

  async write(data: Uint8Array): Promise<Spilled> {
    const file = join(this.path, `${this.#next++}`);
    const crc = crc32(data);
    this.#bytes += data.byteLength;
    try {
      await writeFile(file, data, { mode: 0o600, flag: "wx" });
    } catch (error) {
      this.#bytes -= data.byteLength;
      await rm(file, { force: true });
      throw error;
    }
    return { file, bytes: data.byteLength, crc };
  }

  /** Reads back into `target`. Throws CORRUPT if what comes back is not what was written. */
  async read(spilled: Spilled, target: Uint8Array): Promise<void> {
    const handle = await open(spilled.file, "r").catch((cause: unknown) => {
      throw new VolleyError("CORRUPT", `a spilled object cannot be read back: ${String(cause)}`, { cause });
    });
    try {
      let at = 0;
      while (at < spilled.bytes) {
        const { bytesRead } = await handle.read(target, at, Math.min(spilled.bytes - at, 1 << 30), at);
        if (bytesRead === 0)
          throw new VolleyError("CORRUPT", `a spilled object of ${spilled.bytes} bytes came back with ${at}`);
        at += bytesRead;
      }
    } finally {
      await handle.close();
    }
    const crc = crc32(target.subarray(0, spilled.bytes));
    if (crc !== spilled.crc)
      throw new VolleyError("CORRUPT", `a spilled object came back changed: crc ${crc}, expected ${spilled.crc}`);
  }

  /** Once per object written. */
  async remove(spilled: Spilled): Promise<void> {
    this.#bytes -= spilled.bytes;
    await rm(spilled.file, { force: true });
  }

  removeAll(): void {
    process.removeListener("exit", this.#onExit);
    // A write may be on its way in another thread; once the folder is gone, none can begin.
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 10 });
  }
}

/** The one that is given, or a folder of its own. */
export function openSpill(options: {
  readonly spill?: SpillPlace;
  readonly budgetBytes: number;
  readonly spillBytesMax?: number;
  readonly spillParent?: string;
}): SpillPlace {
  return options.spill ?? new SpillFolder(options.spillBytesMax ?? 8 * options.budgetBytes, options.spillParent);
}

function removeStale(parent: string): void {
  for (const name of readdirSync(parent)) {
    const [owner, pid] = name.split("~");
    if (owner !== host || !pid || !/^\d+$/.test(pid) || isAlive(Number(pid))) continue;
    rmSync(join(parent, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
