/**
 * One client beside a scripted scheduler on the in-memory network, opened anew before each test of the file that asks
 * for it. Whatever its connection reports as an error fails the test.
 */
import { afterEach, beforeEach, expect } from "vitest";
import { modelDurable } from "../../../proto/durable/testing/model.js";
import type { TenantId } from "../../../proto/ids.js";
import type { StageSpec } from "../../../proto/messages/stage.js";
import { patienceMs } from "../../../proto/testing/patience.js";
import { MemoryNetwork } from "../../../proto/transport/testing/memory.js";
import type { RemoteFunction } from "../api.js";
import type { Backend } from "../backend.js";
import { ClusterClient } from "../cluster.js";
import { memoryBackend, ScriptedScheduler } from "./scripted-scheduler.js";

export interface SessionRig {
  network: MemoryNetwork;
  scheduler: ScriptedScheduler;
  backend: ReturnType<typeof memoryBackend>;
  /** The one that is closed after the test; a test may put another one here. */
  cluster: ClusterClient;
  open(options?: { timeoutMs?: number; unreachableMs?: number; backend?: Backend }): Promise<ClusterClient>;
  /** A function of a bundle, which is not pure unless told. The types are the test's own. */
  impure<F>(name?: "f" | "g"): Promise<RemoteFunction<F>>;
  stagesSent(): StageSpec[];
}

/** Its parts are there once a test runs. */
export function sessionRig(): SessionRig {
  const errors: unknown[] = [];
  const rig: SessionRig = {
    ...({} as Pick<SessionRig, "network" | "scheduler" | "backend" | "cluster">),
    open: (options = {}) =>
      ClusterClient.open({
        tenant: "default" as TenantId,
        timeoutMs: patienceMs,
        onError: (error) => errors.push(error),
        ...options,
        backend: options.backend ?? rig.backend,
      }),
    async impure<F>(name: "f" | "g" = "f") {
      const library = await rig.cluster.deploy<typeof import("./fixture-tasks.js")>(
        new URL("./fixture-tasks.js", import.meta.url),
      );
      return library[name] as unknown as RemoteFunction<F>;
    },
    stagesSent: () => rig.scheduler.of("stages").flatMap(({ stages }) => stages),
  };
  beforeEach(async () => {
    rig.network = new MemoryNetwork();
    rig.scheduler = new ScriptedScheduler(rig.network);
    rig.backend = memoryBackend(rig.network, modelDurable());
    rig.cluster = await rig.open();
  });
  afterEach(async () => {
    await rig.cluster.close();
    await rig.scheduler.stop();
    expect(errors.splice(0)).toEqual([]);
  });
  return rig;
}
