/**
 * The user's home folder, also where there is none: a container's uid may have neither HOME nor an entry in the
 * system's user database.
 */
import { lstatSync, mkdirSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { VolleyError } from "../../proto/errors.js";

export function homeFolder(env: Readonly<Record<string, string | undefined>>): string {
  if (env.HOME) return env.HOME;
  try {
    return homedir();
  } catch {
    return ownTemporary(join(tmpdir(), `volley-home-${process.getuid?.() ?? "user"}`));
  }
}

/** Programs and credentials will lie there, so it must be nobody else's. */
function ownTemporary(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stat = lstatSync(folder);
  if (!stat.isDirectory() || stat.uid !== process.getuid?.() || (stat.mode & 0o022) !== 0)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `this user has no home folder, and ${folder} belongs to somebody else: set HOME`,
    );
  return folder;
}
