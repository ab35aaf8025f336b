/** Folders of this user under the system's temporary folder: nobody else may write there. A uid need not have an entry in the system's user database. */
import { lstatSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** `volley-spill-1000`. Systems without uids have a temporary folder per user. */
export const userFolder = (name: string): string => join(tmpdir(), process.getuid === undefined ? name : `${name}-${process.getuid()}`);

/** Creates the folder and gives it if it is this user's alone; otherwise a fresh one: what others can write there would be read, or run, here. */
export function privateFolder(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stat = lstatSync(folder);
  const own =
    stat.isDirectory() && (process.getuid === undefined || stat.uid === process.getuid()) && (process.platform === "win32" || (stat.mode & 0o022) === 0);
  return own ? folder : mkdtempSync(`${userFolder("volley")}-`);
}
