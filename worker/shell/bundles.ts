/** Code bundles as files that threads import: fetched once, checked against the SHA-256 that is their name, kept for the next process. */
import { createHash, randomBytes } from "node:crypto";
import { lstatSync, mkdirSync, mkdtempSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { BlobStore } from "../../proto/durable/durable.js";
import { VolleyError } from "../../proto/errors.js";
import type { BundleId } from "../../proto/ids.js";

export class BundleCache {
  readonly #store: BlobStore;
  readonly #folder: string;
  readonly #files = new Map<BundleId, Promise<string>>();

  constructor(store: BlobStore, folder = join(tmpdir(), `volley-bundles-${userInfo().uid}`)) {
    this.#store = store;
    this.#folder = privateFolder(folder);
  }

  /** URL of the bundle's file. BUNDLE_NOT_FOUND, CORRUPT, or what the store fails with. */
  url(bundle: BundleId): Promise<string> {
    let file = this.#files.get(bundle);
    if (!file) {
      file = this.#provide(bundle);
      this.#files.set(bundle, file);
      file.catch(() => this.#files.delete(bundle));
    }
    return file;
  }

  async #provide(bundle: BundleId): Promise<string> {
    const file = join(this.#folder, `${bundle}.mjs`);
    const cached = await readFile(file).catch(() => undefined);
    if (!cached || sha256(cached) !== bundle) {
      const data = await this.#store.get(bundle);
      if (!data) throw new VolleyError("BUNDLE_NOT_FOUND", `the code bundle ${bundle} is not in the store: deploy it again`);
      if (sha256(data) !== bundle) throw new VolleyError("CORRUPT", `the code bundle ${bundle} came with the digest ${sha256(data)}`);
      // Another worker of this machine may be writing the same file: whoever renames last has written the same bytes.
      const draft = `${file}.${randomBytes(6).toString("hex")}`;
      await writeFile(draft, data, { mode: 0o600, flag: "wx" });
      await rename(draft, file);
    }
    return pathToFileURL(file).href;
  }
}

const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

/** The folder if it is ours alone; otherwise a fresh one: what others can write there would run here. */
function privateFolder(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stat = lstatSync(folder);
  const own =
    stat.isDirectory() && (process.getuid === undefined || stat.uid === process.getuid()) && (process.platform === "win32" || (stat.mode & 0o022) === 0);
  return own ? folder : mkdtempSync(join(tmpdir(), "volley-bundles-"));
}
