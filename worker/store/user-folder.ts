/**
 * Folders of this user under the system's temporary folder: nobody else may write there. A uid need not have an entry
 * in the system's user database.
 */
import { lstatSync, mkdirSync, mkdtempSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VolleyError } from "../../proto/errors.js";

/** `volley-spill-1000`. Systems without uids have a temporary folder per user. */
export const userFolder = (name: string): string =>
  join(tmpdir(), process.getuid === undefined ? name : `${name}-${process.getuid()}`);

/**
 * Creates the folder and gives it if it is this user's alone; otherwise a fresh one: what others can write there would
 * be read, or run, here.
 */
export function privateFolder(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stat = lstatSync(folder);
  const own =
    stat.isDirectory() &&
    (process.getuid === undefined || stat.uid === process.getuid()) &&
    (process.platform === "win32" || (stat.mode & 0o022) === 0);
  return own ? folder : mkdtempSync(`${userFolder("volley")}-`);
}

/**
 * A folder that was named in the configuration: made if it is missing, ours or root's (a mounted volume). Whoever owns
 * a folder can put another in the place of what lies in it. Throws INVALID_ARGUMENT.
 */
export function namedFolder(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { uid } = statSync(folder);
  const own = process.getuid?.();
  if (own !== undefined && uid !== own && uid !== 0)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `the folder ${folder} belongs to the user ${uid}, who could change what this process (user ${own}) keeps in it; name one of its own`,
    );
  return folder;
}
