/** What happened to tasks, leases and workers, as `explain` and `story` tell it. */
import { expect, test } from "vitest";
import { limits } from "../../proto/limits.js";
import type { ClientReplyOf } from "../../proto/messages/client.js";
import { client, fill, leasesIn, one, Rig, session, spec, w1, w2 } from "../../sim/core-rig.js";
import { fromJournal } from "./cause.js";
import { linesKept, lineText, Stories } from "./stories.js";

const lostMs = limits.heartbeatTimeoutMs + 600;
const storyOf = (rig: Rig, task: number, stage = 0): string[] =>
  rig.state.stories.ofTask(session, stage, task).map(({ what, worker }) => `${what}${worker ? ` on ${worker}` : ""}`);

function scene(count: number, retries = 0): Rig {
  const rig = new Rig();
  rig.open();
  const stage = spec(0, count);
  rig.ask({ t: "stages", session, client, stages: [{ ...stage, options: { ...stage.options, retries } }] });
  return rig;
}

test("a task's story says who had it, why it came back, and by which event", () => {
  const rig = scene(1);
  const lease = one(leasesIn(rig.join(w1)));
  rig.pass(lostMs);
  const again = one(leasesIn(rig.join(w2)));
  rig.commit(w2, [fill(again)], { done: [again.lease] });
  const reply = rig.ask({ t: "explain", job: session, stage: 0, task: 0 }) as ClientReplyOf<"explanation">;
  const story = reply.explanation.story ?? [];
  expect(story.map(({ text, worker, lease: id }) => [text, worker, id])).toEqual([
    ["queued: every input is there", undefined, undefined],
    ["leased", w1, lease.lease],
    ["its worker is silent", w1, lease.lease],
    ["waiting: given back, or its worker is gone", undefined, undefined],
    ["queued: every input is there", undefined, undefined],
    ["leased", w2, again.lease],
    ["succeeded: first valid commit", undefined, undefined],
  ]);
  expect(story.map(({ cause }) => cause.replace(/^#\d+ /, ""))).toEqual([
    `stages of ${client}`,
    `register of ${w1}`,
    "tick",
    "tick",
    "tick",
    `register of ${w2}`,
    `commits of ${w2}`,
  ]);
  const numbers = story.map(({ cause }) => Number(/\d+/.exec(cause)?.[0]));
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  expect(story.map(({ atMs }) => atMs).slice(-1)).toEqual([rig.now]);
});

test("a lease and a worker have theirs, and a name that nobody knows has none", () => {
  const rig = scene(1);
  const lease = one(leasesIn(rig.join(w1)));
  rig.commit(w1, [fill(lease)], { done: [lease.lease] });
  rig.receive({ t: "deregister", worker: w1, epoch: rig.state.epoch });
  const told = (of: { worker: typeof w1 } | { lease: typeof lease.lease }): string[] =>
    (rig.ask({ t: "story", ...of }) as ClientReplyOf<"story">).lines.map(({ text }) => text);
  expect(told({ lease: lease.lease })).toEqual(["leased", "lease ended"]);
  expect(told({ worker: w1 })).toEqual(["joined", "leased", "lease ended", "its worker deregistered"]);
  expect(told({ worker: w2 })).toEqual([]);
});

test("a retry that is due is told by its timer, not by the event that it comes with", () => {
  const rig = scene(1, 1);
  const lease = one(leasesIn(rig.join(w1)));
  const error = { code: "TASK_FAILED" as const, message: "no" };
  const segment = { r: "failed" as const, stage: 0, from: 0, to: 1, error };
  rig.commit(w1, [{ lease: lease.lease, segment, slotTimeUs: 1 }], { done: [lease.lease] });
  rig.pass(5_000);
  const due = rig.state.stories.ofTask(session, 0, 0).find(({ what }) => what.startsWith("waiting: the pause"));
  expect(due?.cause.what).toBe("timer");
});

test("a map of a million tasks that goes well does not push out what went wrong before", () => {
  const rig = new Rig(undefined, { checked: false });
  rig.open();
  rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
  rig.join(w1);
  rig.pass(lostMs);
  rig.ask({ t: "stages", session, client, stages: [spec(1, 4 * linesKept)] });
  const size = (): number => [...rig.state.workers.values()].reduce((sum, worker) => sum + worker.leases.size, 0);
  let out = rig.join(w2, 4);
  for (let lease = leasesIn(out); lease.length > 0; lease = leasesIn(out))
    out = rig.commit(
      w2,
      lease.map((one) => fill(one)),
      { done: lease.map((one) => one.lease) },
    );
  expect(size()).toBe(0);
  expect(storyOf(rig, 0)).toContain(`its worker is silent on ${w1}`);
  expect(storyOf(rig, 0).at(-1)).toBe("succeeded: first valid commit");
});

test("no more lines are kept than the two rings hold", () => {
  const stories = new Stories(10);
  for (let i = 0; i < 100; i++) stories.addWorker(`step ${i}`, "w", i % 10 === 0);
  const wrong = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90];
  const well = [89, 91, 92, 93, 94, 95, 96, 97, 98, 99];
  expect(stories.ofWorker("w").map(({ what }) => Number(what.slice(5)))).toEqual(
    [...wrong, ...well].sort((x, y) => x - y),
  );
  const line = stories.ofWorker("w")[0];
  expect(line && lineText({ ...line, cause: fromJournal })).toBe("step 0 on w [#0 journal]");
});
