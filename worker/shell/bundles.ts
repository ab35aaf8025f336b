/**
 * Code bundles as files that threads import: fetched once, checked against the SHA-256 that is their name, kept for the
 * next process.
 */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { BlobReader } from "../../proto/durable/durable.js";
import { VolleyError } from "../../proto/errors.js";
import type { BundleId } from "../../proto/ids.js";
import { privateFolder, userFolder } from "../store/user-folder.js";

interface BundleFile {
  readonly path: string;
  readonly url: string;
  readonly bytes: number;
}

export class BundleCache {
  readonly #store: BlobReader;
  readonly #wanted: string;
  #folder: string;
  readonly #files = new Map<BundleId, Promise<BundleFile>>();
  readonly #provided = new Map<BundleId, BundleFile>();

  constructor(store: BlobReader, folder = userFolder("volley-bundles")) {
    this.#store = store;
    this.#wanted = folder;
    this.#folder = privateFolder(folder);
  }

  /** As `url`, when that has nothing to wait for. */
  urlNow(bundle: BundleId): string | undefined {
    const file = this.#provided.get(bundle);
    return file && isThere(file) ? file.url : undefined;
  }

  /** URL of the bundle's file, which is there now. BUNDLE_NOT_FOUND, CORRUPT, or what the store fails with. */
  async url(bundle: BundleId): Promise<string> {
    const known = this.#files.get(bundle);
    // Temporary folders are cleaned by others.
    if (known && !isThere(await known) && this.#files.get(bundle) === known) this.#files.delete(bundle);
    let file = this.#files.get(bundle);
    if (!file) {
      file = this.#provide(bundle);
      this.#files.set(bundle, file);
      file.then(
        (provided) => this.#provided.set(bundle, provided),
        () => this.#files.delete(bundle),
      );
    }
    return (await file).url;
  }

  async #provide(bundle: BundleId): Promise<BundleFile> {
    if (!existsSync(this.#folder)) this.#folder = privateFolder(this.#wanted);
    const file = join(this.#folder, `${bundle}.mjs`);
    let data: Uint8Array | undefined = await readFile(file).catch(() => undefined);
    if (!data || sha256(data) !== bundle) {
      data = await this.#store.get(bundle);
      if (!data)
        throw new VolleyError("BUNDLE_NOT_FOUND", `the code bundle ${bundle} is not in the store: deploy it again`);
      if (sha256(data) !== bundle)
        throw new VolleyError("CORRUPT", `the code bundle ${bundle} came with the digest ${sha256(data)}`);
      // Another worker of this machine may be writing the same file: whoever renames last has written the same bytes.
      const draft = `${file}.${randomBytes(6).toString("hex")}`;
      await writeFile(draft, data, { mode: 0o600, flag: "wx" });
      await rename(draft, file);
    }
    return { path: file, url: pathToFileURL(file).href, bytes: data.byteLength };
  }
}

/** Looked at for every lease, so not by way of the thread pool: that is two hand-overs, and this a few microseconds. */
function isThere({ path, bytes }: BundleFile): boolean {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    return found?.isFile() === true && found.size === bytes;
  } catch {
    return false;
  }
}

const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");
