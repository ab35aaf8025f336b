/** Tables that grow with who comes, and not with what is there: each has an end. */
import { describe, expect, test } from "vitest";
import type { ClientId, JobId, TenantId } from "../../proto/ids.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import type { Message } from "../../proto/transport/transport.js";
import { inline, leasesIn, Rig, spec, w1 } from "../../sim/core-rig.js";
import { costsMax } from "../core/commits.js";
import { otherTenants, SchedulerMetrics, tenantsShown } from "./metrics.js";
import { owedMax, ReplyBook } from "./reply-book.js";
import { SessionStages } from "./session-stages.js";

describe("bounded", () => {
  test("measured times: functions that come and go with deploys do not stay", () => {
    const rig = new Rig(undefined, { checked: false });
    rig.open();
    rig.join(w1, 4);
    for (let i = 0; i < costsMax + 500; i++) rig.state.costs.set(`bundle${i}/f`, 1);
    rig.state.costs.clear();
    for (let i = 0; i < costsMax; i++) rig.state.costs.set(`bundle${i}/f`, 1);
    rig.commands.length = 0;
    rig.ask({ t: "stages", session: "session" as JobId, client: "client" as ClientId, stages: [spec(0, 1)] });
    for (const lease of leasesIn(rig.commands)) rig.commit(w1, [inline(lease, [0])]);
    expect(rig.state.costs.size).toBe(costsMax);
    expect(rig.state.costs.has("bundle0/f")).toBe(false);
    expect(rig.state.costs.get("kernel/k0/1")).toBe(10);
  });

  test("series of metrics: tenants beyond the first ones share one", async () => {
    const metrics = new SchedulerMetrics();
    for (let i = 0; i < tenantsShown + 300; i++) {
      const tenant = `t${i}` as TenantId;
      metrics.count({ c: "count", metric: "tasks_submitted", by: 2, tenant });
      metrics.observe({ c: "observe", metric: "task_seconds", value: 1, tenant });
    }
    const text = await metrics.scrape();
    metrics.close();
    const submitted = text.split("\n").filter((line) => line.startsWith("volley_tasks_total{"));
    expect(submitted).toHaveLength(tenantsShown + 1);
    expect(submitted.find((line) => line.includes(otherTenants))).toMatch(/ 600$/);
    expect(text.split("\n").filter((line) => line.startsWith("volley_scheduler_task_seconds_count{"))).toHaveLength(
      tenantsShown + 1,
    );
  });

  test("faults of sessions that never deregistered", () => {
    const stages = new SessionStages({
      stageOf: () => undefined,
      sizeOf: () => undefined,
      argsBytesMax: 1e6,
      fail: () => {},
    });
    const orphan: StageSpec = { ...spec(1, 1), args: [{ a: "stage", stage: 0, edge: "all" }] };
    for (let i = 0; i < 3_000; i++)
      stages.admit({ t: "stages", session: `s${i}` as JobId, client: "c" as ClientId, stages: [orphan] });
    expect(stages.size).toBeLessThanOrEqual(1_000);
  });

  test("answers owed while the journal stands still: the oldest asker has asked again", () => {
    const book = new ReplyBook(() => 0, 1_000);
    const message = {} as Message;
    const first = book.add(message, "client");
    for (let i = 0; i < owedMax + 10; i++) book.add(message, "client");
    expect(book.size).toBe(owedMax);
    expect(book.take(first)).toBeUndefined();
  });
});
