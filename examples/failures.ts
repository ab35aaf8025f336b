/**
 * What goes wrong on the cluster arrives as a VolleyError with a code: the function's own error with its stack,
 * retries, time limits, inputs that failed.
 *
 *   node dist/examples/failures.js
 */
import { connect, isVolleyError, type ObjectRef } from "volley";

await using cluster = await connect();
const tasks = await cluster.deploy<typeof import("./failures-tasks.js")>(
  new URL("./failures-tasks.ts", import.meta.url),
);

async function show(what: string, ref: ObjectRef<unknown>): Promise<void> {
  try {
    console.log(`${what}: ${JSON.stringify(await cluster.get(ref))}`);
  } catch (error) {
    if (!isVolleyError(error)) throw error;
    console.log(`${what}: ${error.code} (${error.retry}): ${error.message}`);
    const frame = error.remoteStack?.split("\n").find((line) => line.includes(" at "));
    if (frame) console.log(`  ${frame.trim()}`);
  }
}

const bad = tasks.checked.submit(-1);
await show("throws", bad);
await show("depends on it", tasks.checked.submit(bad));
await show("retries", tasks.unreliable.with({ retries: 3 }).submit(2));
await show("too few retries", tasks.unreliable.with({ retries: 1 }).submit(2));
await show("never ends", tasks.endless.with({ timeoutMs: 300 }).submit());
await show("still works", tasks.checked.submit(1));
