/**
 * Runs once before all tests (vitest's globalSetup): provisions nats-server, which on a fresh machine may take a minute
 * and must not count against the time of whichever test comes first.
 */
import { resolveNatsServer } from "../resolve-nats.js";

export async function setup(): Promise<void> {
  try {
    const { path } = await resolveNatsServer({ onProgress: (line) => process.stderr.write(`nats-server: ${line}\n`) });
    process.env.VOLLEY_NATS_SERVER = path;
  } catch (error) {
    // Most tests need none; those that do fail with this reason.
    process.stderr.write(`${(error as Error).message}\n`);
  }
}
