import { afterEach, beforeEach, expect, test } from "vitest";
import { modelDurable } from "../../proto/durable/testing/model.js";
import type { TenantId } from "../../proto/ids.js";
import { patienceMs } from "../../proto/testing/patience.js";
import { MemoryNetwork } from "../../proto/transport/testing/memory.js";
import type { RefArray, RemoteFunction } from "./api.js";
import { ClusterClient } from "./cluster.js";
import { memoryBackend, resultsOf, ScriptedScheduler } from "./testing/scripted-scheduler.js";

let scheduler: ScriptedScheduler;
let cluster: ClusterClient;

beforeEach(async () => {
  const network = new MemoryNetwork();
  scheduler = new ScriptedScheduler(network);
  cluster = await ClusterClient.open({
    backend: memoryBackend(network, modelDurable()),
    tenant: "default" as TenantId,
    timeoutMs: patienceMs,
    onError: (error) => {
      throw error;
    },
  });
});
afterEach(async () => {
  await cluster.close();
  await scheduler.stop();
});

const functionOf = async (pure: boolean): Promise<RemoteFunction<(a: unknown) => number>> => {
  const library = await cluster.deploy<typeof import("./testing/fixture-tasks.js")>(
    new URL("./testing/fixture-tasks.js", import.meta.url),
  );
  return (library.f as unknown as RemoteFunction<(a: unknown) => number>).with({ pure });
};

/**
 * A map whose results never arrive, read by another whose results do (of its first `shown` tasks); then the scheduler
 * restarts and executes what it is sent.
 */
async function restarted(pure: boolean, shown: number): Promise<{ first: RefArray<number>; second: RefArray<number> }> {
  const f = await functionOf(pure);
  scheduler.onStage = (stage, { client, session }) => {
    if (stage.index === 1)
      scheduler.send(client, session, [{ ...resultsOf({ ...stage, count: shown, args: [] }, () => 7), to: shown }]);
  };
  const first = f.map([1, 2, 3]) as RefArray<number>;
  const second = f.map(first as never) as RefArray<number>;
  await cluster.wait([...second].slice(0, shown), { count: shown });
  await scheduler.restart();
  scheduler.execute(() => 8);
  return { first, second };
}

const outcome = async (refs: RefArray<number>): Promise<unknown[]> =>
  Promise.all(
    [...refs].map((ref) => cluster.get(ref, { timeoutMs: patienceMs }).catch((error: { code: string }) => error.code)),
  );

test("what was read by a task whose result was shown is not made anew", async () => {
  const { first, second } = await restarted(false, 3);
  expect(await cluster.get(second)).toEqual([7, 7, 7]);
  expect(await outcome(first)).toEqual(["SESSION_LOST", "SESSION_LOST", "SESSION_LOST"]);
});

test("task by task: what nobody was shown anything of is executed", async () => {
  const { first } = await restarted(false, 1);
  expect(await outcome(first)).toEqual(["SESSION_LOST", 8, 8]);
});

test("a pure function gives the same again", async () => {
  const { first } = await restarted(true, 3);
  expect(await outcome(first)).toEqual([8, 8, 8]);
});
