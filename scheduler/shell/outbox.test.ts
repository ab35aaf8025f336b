import { describe, expect, test } from "vitest";
import { decodeMessage } from "../../proto/codec.js";
import type { ClientId, Epoch, JobId, LeaseId, ObjectBase, ObjectId, WorkerId } from "../../proto/ids.js";
import { clientUpdate } from "../../proto/messages/client.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import { type SchedulerCommand, schedulerCommands } from "../../proto/messages/worker.js";
import { patienceMs } from "../../proto/testing/patience.js";
import { PackReader, PackWriter } from "../../proto/values/pack.js";
import { Outbox } from "./outbox.js";

const worker = "w1" as WorkerId;
const client = "c1" as ClientId;
const session = "s1" as JobId;

function setUp(messageBytesMax = 4_096, payloadBytesMax = 8_192) {
  const sent: Uint8Array[] = [];
  const oversize: string[] = [];
  const keep = (_to: string, data: Uint8Array) => {
    expect(data.byteLength).toBeLessThanOrEqual(payloadBytesMax);
    sent.push(data);
  };
  const outbox = new Outbox({
    epoch: 2 as Epoch,
    messageBytesMax,
    payloadBytesMax,
    sendToWorker: keep,
    sendToClient: keep,
    onOversize: (what) => oversize.push(what),
  });
  return { outbox, sent, oversize };
}

function pack(from: number, to: number, bytesEach: number): Uint8Array {
  const writer = new PackWriter();
  for (let i = from; i < to; i++) writer.add({ kind: 3, data: new Uint8Array(bytesEach).fill(i) });
  return writer.finish();
}

const inline = (from: number, to: number, bytesEach: number): ResultSegment => ({
  r: "inline",
  stage: 0,
  from,
  to,
  pack: pack(from, to, bytesEach),
});

function lease(n: number, argBytes: number, inputs = 0): SchedulerCommand {
  return {
    o: "lease",
    lease: {
      lease: `2.${n}` as LeaseId,
      job: session,
      stage: 0,
      base: "ss1_0" as ObjectBase,
      fn: { kernel: "k", version: 1 },
      from: 0,
      to: 1,
      attempt: 0,
      args: [{ a: "value", kind: 3, data: new Uint8Array(argBytes) }],
      bases: [],
      inputs: Array.from({ length: inputs }, (_, i) => ({
        id: `ss1_0-${i}` as ObjectId,
        state: "ready" as const,
        inline: new Uint8Array(100),
      })),
      durable: false,
      options: { retries: 0, timeoutMs: patienceMs, pure: true, priority: 0 },
    },
  };
}

const commandsIn = (sent: Uint8Array[]): SchedulerCommand[] =>
  sent.flatMap((data) => decodeMessage(schedulerCommands, data).commands);

/** Every task's result as its first byte, in the order in which they were sent. */
function resultsIn(sent: Uint8Array[]): Map<number, number> {
  const results = new Map<number, number>();
  for (const data of sent)
    for (const segment of decodeMessage(clientUpdate, data).segments) {
      if (segment.r !== "inline") continue;
      const reader = new PackReader(segment.pack);
      expect(reader.count).toBe(segment.to - segment.from);
      for (let task = segment.from; task < segment.to; task++) {
        expect(results.has(task)).toBe(false);
        results.set(task, reader.at(task - segment.from).data[0] as number);
      }
    }
  return results;
}

describe("outbox", () => {
  test("sends the commands of a turn to a worker as one message, in order", () => {
    const { outbox, sent } = setUp();
    const commands: SchedulerCommand[] = [{ o: "ack", seq: 1 }, lease(1, 10), { o: "ack", seq: 2 }];
    for (const command of commands) outbox.command(worker, undefined, command);
    expect(sent.length).toBe(0);
    outbox.flush();
    expect(sent.length).toBe(1);
    expect(commandsIn(sent).map((command) => command.o)).toEqual(["ack", "lease", "ack"]);
    outbox.flush();
    expect(sent.length).toBe(1);
  });

  test("keeps what is patient until something else goes to the same worker, or everything goes", () => {
    const { outbox, sent } = setUp();
    outbox.command(worker, undefined, { o: "ack", seq: 1 }, true);
    expect(outbox.flush()).toBe(true);
    expect(sent.length).toBe(0);
    outbox.command(worker, undefined, lease(1, 10));
    expect(outbox.flush()).toBe(false);
    expect(commandsIn(sent).map((command) => command.o)).toEqual(["ack", "lease"]);
    outbox.command(worker, undefined, { o: "ack", seq: 2 }, true);
    outbox.flush();
    expect(sent.length).toBe(1);
    expect(outbox.flush(true)).toBe(false);
    expect(commandsIn(sent).at(-1)).toEqual({ o: "ack", seq: 2 });
  });

  test("tells clients before workers", () => {
    const command: string[] = [];
    const outbox = new Outbox({
      epoch: 2 as Epoch,
      messageBytesMax: 4_096,
      payloadBytesMax: 8_192,
      sendToWorker: () => command.push("worker"),
      sendToClient: () => command.push("client"),
      onOversize: (what) => command.push(what),
    });
    outbox.command(worker, undefined, lease(1, 10));
    outbox.update(client, session, inline(0, 1, 10));
    outbox.flush();
    expect(command).toEqual(["client", "worker"]);
  });

  test("cuts commands into several messages before the limit", () => {
    const { outbox, sent } = setUp();
    for (let i = 0; i < 20; i++) outbox.command(worker, undefined, lease(i, 1_000));
    outbox.flush();
    expect(sent.length).toBeGreaterThan(4);
    expect(commandsIn(sent).map((command) => (command.o === "lease" ? command.lease.lease : ""))).toEqual(
      Array.from({ length: 20 }, (_, i) => `2.${i}`),
    );
  });

  test("leaves out locations where a lease would not fit with them", () => {
    const { outbox, sent, oversize } = setUp();
    outbox.command(worker, undefined, lease(1, 100, 200));
    outbox.flush();
    const [command] = commandsIn(sent);
    expect(command?.o === "lease" && command.lease.inputs).toEqual([]);
    expect(oversize).toEqual([]);
  });

  test("reports what no cut makes small enough, and sends the rest", () => {
    const { outbox, sent, oversize } = setUp();
    outbox.command(worker, undefined, { o: "ack", seq: 1 });
    outbox.command(worker, undefined, lease(1, 10_000));
    outbox.command(worker, undefined, { o: "ack", seq: 2 });
    outbox.flush();
    expect(commandsIn(sent)).toEqual([
      { o: "ack", seq: 1 },
      { o: "ack", seq: 2 },
    ]);
    expect(oversize).toEqual(["order lease"]);
  });

  test("splits ids to free", () => {
    const { outbox, sent } = setUp();
    const ids = Array.from({ length: 1_000 }, (_, i) => `ss1_0-${i}` as ObjectId);
    outbox.command(worker, undefined, { o: "free", ids });
    outbox.flush();
    expect(commandsIn(sent).flatMap((command) => (command.o === "free" ? command.ids : []))).toEqual(ids);
  });

  test("splits a large pack so that every task's result arrives once and no message is over the limit", () => {
    const { outbox, sent } = setUp();
    outbox.update(client, session, inline(0, 100, 500));
    outbox.update(client, session, inline(100, 103, 2_000));
    outbox.flush();
    const results = resultsIn(sent);
    expect(results.size).toBe(103);
    for (const [task, byte] of results) expect(byte).toBe(task);
  });

  test("splits many tiny results, where headers outweigh payloads", () => {
    const { outbox, sent } = setUp();
    outbox.update(client, session, inline(0, 5_000, 0));
    outbox.flush();
    expect(sent.length).toBeGreaterThan(5);
    let tasks = 0;
    for (const data of sent)
      for (const segment of decodeMessage(clientUpdate, data).segments) tasks += segment.to - segment.from;
    expect(tasks).toBe(5_000);
  });

  test("splits digests with their results", () => {
    const { outbox, sent } = setUp();
    const digests = new Uint8Array(16 * 300);
    for (let i = 0; i < 300; i++) digests.fill(i % 251, 16 * i, 16 * (i + 1));
    outbox.update(client, session, { r: "inline", stage: 0, from: 0, to: 300, pack: pack(0, 300, 20), digests });
    outbox.update(client, session, {
      r: "stored",
      stage: 1,
      from: 0,
      to: 300,
      stored: Array.from({ length: 300 }, (_, i) => ({ bytes: i, kind: 2, digest: new Uint8Array(16) })),
    });
    outbox.flush();
    const stored: number[] = [];
    for (const data of sent)
      for (const segment of decodeMessage(clientUpdate, data).segments) {
        if (segment.r === "stored")
          for (let i = segment.from; i < segment.to; i++)
            stored.push(segment.stored[i - segment.from]?.bytes as number);
        else if (segment.r === "inline")
          for (let i = segment.from; i < segment.to; i++)
            expect(segment.digests?.[16 * (i - segment.from)]).toBe(i % 251);
      }
    expect(stored).toEqual(Array.from({ length: 300 }, (_, i) => i));
  });
});
