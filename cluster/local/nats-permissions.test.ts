/** Who may say and hear what, on a real nats-server with the users of a local cluster. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDurable, openStores } from "../../proto/durable/nats.js";
import { type NatsRole, natsRoles, permissionsOf } from "../../proto/permissions.js";
import { patienceMs } from "../../proto/testing/patience.js";
import { connectNats, type NatsTransport } from "../../proto/transport/nats.js";
import { type LocalNats, startLocalNats } from "./nats-server.js";

let nats: LocalNats;
let admin: NatsTransport;
const transports = {} as Record<NatsRole, NatsTransport>;
/** Subjects that the server has refused, by role. */
const refused = {} as Record<NatsRole, Set<string>>;

beforeAll(async () => {
  nats = await startLocalNats();
  admin = await connectNats({ url: nats.url, name: "admin" });
  for (const role of natsRoles) {
    const received = new Set<string>();
    refused[role] = received;
    transports[role] = await connectNats({
      url: nats.urls[role],
      name: role,
      onError: (error) => {
        const { operation, subject } = error as { operation?: string; subject?: string };
        received.add(`${operation} ${subject}`);
      },
    });
  }
});
afterAll(async () => {
  await Promise.all([...Object.values(transports), admin].map((transport) => transport?.close()));
  await nats?.stop();
});

const all: readonly NatsRole[] = natsRoles;
const clients: readonly NatsRole[] = ["client", "gateway"];
const peers: readonly NatsRole[] = ["worker", ...clients];
const api = "$JS.API";

/** Subject, and who may publish to it. Everybody else may not. */
const publishing: readonly (readonly [string, readonly NatsRole[]])[] = [
  ["volley.journal", ["scheduler"]],
  ["volley.worker.w1", ["scheduler"]],
  ["volley.client.c1", ["scheduler"]],
  ["volley.scheduler.client", clients],
  ["volley.scheduler.question", ["worker"]],
  ["volley.scheduler.worker", ["worker"]],
  ["volley.data.w1", peers],
  ["volley.frames.w1", peers],
  ["volley.blob.volley-snapshots.entry.x", ["scheduler"]],
  ["volley.blob.volley-results.entry.x", ["scheduler"]],
  ["volley.blob.volley-scratch.entry.x", ["scheduler"]],
  ["volley.blob.volley-objects.entry.x", all],
  ["volley.blob.volley-bundles.entry.x", ["scheduler", ...clients]],
  ["_INBOX.client.stolen.1", ["scheduler"]],
  [`${api}.STREAM.CREATE.volley-objects`, ["scheduler"]],
  [`${api}.STREAM.PURGE.VOLLEY_JOURNAL`, ["scheduler"]],
  [`${api}.STREAM.PURGE.volley-objects`, ["scheduler"]],
  [`${api}.STREAM.PURGE.volley-bundles`, ["scheduler"]],
  [`${api}.STREAM.DELETE.VOLLEY_JOURNAL`, []],
  [`${api}.STREAM.DELETE.volley-objects`, []],
  [`${api}.STREAM.UPDATE.VOLLEY_JOURNAL`, []],
  [`${api}.STREAM.MSG.DELETE.VOLLEY_JOURNAL`, []],
  [`${api}.STREAM.MSG.DELETE.volley-objects`, []],
  [`${api}.STREAM.SNAPSHOT.VOLLEY_JOURNAL`, []],
  [`${api}.CONSUMER.CREATE.VOLLEY_JOURNAL`, []],
  [`${api}.STREAM.CREATE.mine`, []],
  [`${api}.STREAM.INFO.VOLLEY_JOURNAL`, ["scheduler"]],
  [`${api}.DIRECT.GET.VOLLEY_JOURNAL`, ["scheduler"]],
  [`${api}.STREAM.MSG.GET.volley-snapshots`, ["scheduler"]],
  [`${api}.DIRECT.GET.volley-objects.volley.blob.volley-objects.entry.x`, all],
  [`${api}.STREAM.INFO.volley-bundles`, all],
  ["$SYS.REQ.SERVER.PING", []],
  ["volley.anything.else", []],
];

/** Subject, and who may subscribe to it. */
const subscribing: readonly (readonly [string, readonly NatsRole[]])[] = [
  [">", []],
  ["_INBOX.>", []],
  ["$JS.>", []],
  ["volley.>", []],
  ["volley.journal", []],
  ["volley.scheduler.client", ["scheduler"]],
  ["volley.scheduler.worker", ["scheduler"]],
  ["volley.scheduler.question", ["scheduler"]],
  ["volley.worker.w1", ["worker"]],
  ["volley.client.c1", clients],
  ["volley.data.w1", ["worker"]],
  ["volley.frames.c1", peers],
  ...all.map((role) => [`_INBOX.${role}.x.*`, [role]] as const),
];

describe.each(all)("%s", (role) => {
  it.each(publishing)("publishes to %s: %j", async (subject, allowed) => {
    const transport = transports[role];
    // An empty message that nobody reads; where there is a stream of JetStream's, the subject exists only once the
    // scheduler has made it.
    transport.publish(subject, new Uint8Array(0));
    await transport.flush();
    // The refusal stands before the answer to the flush; one turn later it has been told.
    await turn();
    expect([role, subject, !refused[role].has(`publish ${subject}`)]).toEqual([role, subject, allowed.includes(role)]);
  });

  it.each(subscribing)("hears %s: %j", async (subject, allowed) => {
    const transport = transports[role];
    const subscription = transport.subscribe(subject, () => undefined);
    await transport.flush();
    await turn();
    expect([role, subject, !refused[role].has(`subscription ${subject}`)]).toEqual([
      role,
      subject,
      allowed.includes(role),
    ]);
    subscription.unsubscribe();
  });
});

describe("with their users", () => {
  it("the scheduler makes the durable store; the others read and write what they need of it, and delete nothing", async () => {
    const fresh = await startLocalNats();
    const open: NatsTransport[] = [];
    const as = async (role: NatsRole): Promise<NatsTransport> => {
      const transport = await connectNats({ url: fresh.urls[role], name: role, onError: () => undefined });
      open.push(transport);
      return transport;
    };
    try {
      // Begun before there is a store.
      const [client, worker] = [openStores(await as("client")), openStores(await as("worker"))];
      const early = client.bundles.put("a".repeat(64), Uint8Array.of(1, 2));
      const durable = await openDurable(await as("scheduler"));
      await early;
      expect(await worker.bundles.get("a".repeat(64))).toEqual(Uint8Array.of(1, 2));
      const large = new Uint8Array(3_000_000).map((_, i) => i);
      await worker.objects.put("large", large);
      expect(Buffer.compare((await client.objects.get("large")) ?? new Uint8Array(0), large)).toBe(0);
      expect(await durable.journal.append(Uint8Array.of(1), 0)).toBe(1);
      await durable.snapshots.put("s1", Uint8Array.of(5));
      expect(await durable.snapshots.names()).toEqual(["s1"]);
      await durable.objects.delete("large");
      expect(await client.objects.has("large")).toBe(false);
    } finally {
      await Promise.all(open.map((transport) => transport.close()));
      await fresh.stop();
    }
  });

  it("questions are answered to who asked, and nobody else hears the answer", async () => {
    const { client, worker, scheduler } = transports;
    const received: string[] = [];
    const listening = scheduler.subscribe("volley.scheduler.question", (message) => message.respond(Uint8Array.of(7)));
    const serving = worker.subscribe("volley.data.w2", (message) => message.respond(Uint8Array.of(8)));
    const spying = client.subscribe("_INBOX.client.>", (message) => void received.push(message.subject));
    await Promise.all([scheduler.flush(), worker.flush(), client.flush()]);
    expect(await worker.request("volley.scheduler.question", Uint8Array.of(1), { timeoutMs: patienceMs })).toEqual(
      Uint8Array.of(7),
    );
    expect(received).toEqual([]);
    expect(await client.request("volley.data.w2", Uint8Array.of(1), { timeoutMs: patienceMs })).toEqual(
      Uint8Array.of(8),
    );
    for (const subscription of [listening, serving, spying]) subscription.unsubscribe();
  });

  it("no password lies in the data folder while the server runs", () => {
    const paths = ["nats-server.conf"].map((name) => join(nats.dataDir, name));
    for (const path of paths) expect(() => readFileSync(path)).toThrow("ENOENT");
  });
});

it("the page on security lists what each role may", () => {
  const page = readFileSync(new URL("../../../docs/security.md", import.meta.url), "utf8");
  for (const role of all) {
    const { publish, subscribe } = permissionsOf(role);
    const block = new RegExp(`user: ${role},[^\\n]*`).exec(page)?.[0] ?? "";
    expect([role, block]).toEqual([role, expect.stringContaining(JSON.stringify(publish))]);
    expect([role, block]).toEqual([role, expect.stringContaining(JSON.stringify(subscribe))]);
  }
});
