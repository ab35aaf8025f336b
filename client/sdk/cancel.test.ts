import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { modelDurable } from "../../proto/durable/model.js";
import type { TenantId } from "../../proto/ids.js";
import { MemoryNetwork } from "../../proto/transport/memory.js";
import { PackWriter } from "../../proto/values/pack.js";
import { encodeValue } from "../../proto/values/value.js";
import type { ObjectRef, RemoteFunction } from "./api.js";
import type { Backend } from "./backend.js";
import { ClusterClient } from "./cluster.js";
import { memoryBackend, ScriptedScheduler } from "./scripted-scheduler.js";

let network: MemoryNetwork;
let scheduler: ScriptedScheduler;
let backend: ReturnType<typeof memoryBackend>;
let cluster: ClusterClient;
const errors: unknown[] = [];

async function open(options: { unreachableMs?: number; backend?: Backend } = {}): Promise<ClusterClient> {
  return ClusterClient.open({
    backend: options.backend ?? backend,
    tenant: "default" as TenantId,
    timeoutMs: 1_000,
    onError: (error) => errors.push(error),
    ...options,
  });
}

beforeEach(async () => {
  network = new MemoryNetwork();
  scheduler = new ScriptedScheduler(network);
  backend = memoryBackend(network, modelDurable());
  cluster = await open();
});
afterEach(async () => {
  await cluster.close();
  await scheduler.stop();
  expect(errors.splice(0)).toEqual([]);
});

const _identity = (): RemoteFunction<(x: number) => number> => cluster.kernel<(x: number) => number>("identity");
/** A function of a bundle, which is not pure unless told. The types are the test's own. */
const impure = async <F>(name: "f" | "g" = "f"): Promise<RemoteFunction<F>> => {
  const library = await cluster.deploy<typeof import("./fixture-tasks.js")>(
    new URL("./fixture-tasks.js", import.meta.url),
  );
  return library[name] as unknown as RemoteFunction<F>;
};

async function eventually(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within 5 s: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const stagesSent = () => scheduler.of("stages").flatMap(({ stages }) => stages);

describe("cancel", () => {
  const cancelled = { code: "CANCELLED" };

  test("while an argument is uploaded ends the task: it is never sent", async () => {
    let placed = 0;
    scheduler.onRequest = (request) => {
      if (request.t !== "place") return undefined;
      placed++;
      return { t: "error", error: { code: "NO_SCHEDULER", message: "later" } };
    };
    const f = await impure<(a: unknown, b?: unknown) => number>();
    const ref = f.submit(new Uint8Array(1_000_000));
    const after = f.submit(ref as ObjectRef<unknown>);
    await cluster.cancel(ref);
    await expect(cluster.get(ref)).rejects.toMatchObject(cancelled);
    await eventually("being uploaded", () => placed > 0);
    scheduler.onRequest = (request) =>
      request.t === "place" ? { t: "error", error: { code: "NO_WORKERS", message: "none" } } : undefined;
    await eventually(
      "what reads it is sent after it, and it as ended",
      () => stagesSent().length === 1 && scheduler.told.has(0),
    );
    scheduler.onRequest = () => undefined;
    expect(stagesSent()[0]?.index).toBe(1);
    expect(scheduler.told.get(0)?.get(0)).toMatchObject({ r: "failed", error: cancelled });
    await cluster.cancel(after);
  });

  test("of a part of a map that waits for an upload cancels that part, and the rest runs", async () => {
    scheduler.onRequest = (request) =>
      request.t === "place" ? { t: "error", error: { code: "NO_SCHEDULER", message: "later" } } : undefined;
    const f = await impure<(a: unknown, b?: unknown) => number>();
    const map = f.map([1, 2, 3], { shared: [new Uint8Array(1_000_000)] } as never);
    await cluster.cancel(map.at(1));
    scheduler.onRequest = () => undefined;
    await expect(cluster.get(map.at(1))).rejects.toMatchObject(cancelled);
  });

  test("of a stage that the scheduler never got ends it here, and it is not sent again", async () => {
    const f = await impure<(a: number) => number>();
    scheduler.onRequest = (request) =>
      request.t === "cancel" ? { t: "cancelled", known: false, tasks: 0 } : undefined;
    const map = f.map([1, 2]);
    await eventually("sent", () => stagesSent().length === 1);
    await cluster.cancel(map);
    await expect(cluster.get(map)).rejects.toMatchObject(cancelled);
    const beats = scheduler.of("beat").length;
    await eventually("two beats", () => scheduler.of("beat").length > beats + 2);
    expect(stagesSent()).toHaveLength(1);
  });

  test("on a scheduler that restarted ends what was not shown; what was shown stays", async () => {
    const f = await impure<(a: number) => number>();
    scheduler.onStage = (_stage, { client, session }) => {
      const pack = new PackWriter();
      pack.add(encodeValue("shown"));
      scheduler.send(client, session, [{ r: "inline", stage: 0, from: 0, to: 1, pack: pack.finish() }]);
    };
    const map = f.map([1, 2]);
    await cluster.wait(map, { count: 1 });
    scheduler.onRequest = (request) =>
      request.t === "cancel" ? { t: "error", error: { code: "JOB_NOT_FOUND", message: "no job" } } : undefined;
    await cluster.cancel(map);
    expect(await cluster.get(map.at(0))).toBe("shown");
    await expect(cluster.get(map.at(1))).rejects.toMatchObject(cancelled);
  });

  test("of what has ended asks nobody", async () => {
    scheduler.execute((a) => a);
    const f = await impure<(a: number) => number>();
    const ref = f.submit(1);
    await cluster.get(ref);
    await cluster.cancel(ref);
    expect(await cluster.get(ref)).toBe(1);
    expect(scheduler.of("cancel")).toEqual([]);
  });

  test("of what was submitted in the same tick asks the scheduler after telling it of the task", async () => {
    const f = await impure<(a: number) => number>();
    await cluster.cancel(f.submit(1));
    expect(scheduler.heard.filter(({ t }) => t === "stages" || t === "cancel").map(({ t }) => t)).toEqual([
      "stages",
      "cancel",
    ]);
  });
});
