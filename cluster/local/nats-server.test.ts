import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterEach, describe, expect, test } from "vitest";
import { until } from "../../proto/testing/patience.js";
import { isAlive } from "./guarded-process.js";
import { startLocalNats } from "./nats-server.js";

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

const tempDir = async () => {
  const dir = await mkdtemp(join(tmpdir(), "volley-test-"));
  cleanups.push(() => rm(dir, { recursive: true, force: true }));
  return dir;
};

describe("a local nats-server", () => {
  test("serves JetStream on loopback to whoever has the credentials, and to nobody else", async () => {
    const nats = await startLocalNats();
    cleanups.push(nats.stop);
    const connection = await connect({
      servers: nats.url.replace(/\/\/.*@/, "//"),
      user: nats.user,
      pass: nats.password,
    });
    cleanups.push(() => connection.close());
    const account = await (await jetstreamManager(connection)).getAccountInfo();
    expect(account.limits.max_storage).not.toBe(0);
    expect(connection.info?.max_payload).toBe(8 * 1024 * 1024);
    expect(connection.info?.host).toBe("127.0.0.1");
    await expect(connect({ servers: `127.0.0.1:${nats.port}`, reconnect: false })).rejects.toThrow(/authorization/i);
    // Its configuration names the passwords of every role: it is gone once it has been read.
    expect(existsSync(join(nats.dataDir, "nats-server.conf"))).toBe(false);
    const told = (await (await fetch(`http://127.0.0.1:${nats.monitorPort}/varz`)).json()) as {
      jetstream: { config: { sync_always?: boolean } };
    };
    expect(told.jetstream.config.sync_always).toBe(true);
  });

  test("stop ends the process and removes a temporary data folder", async () => {
    const nats = await startLocalNats();
    await nats.stop();
    expect(isAlive(nats.pid)).toBe(false);
    expect(existsSync(nats.dataDir)).toBe(false);
  });

  test("a killed server restarts on the same port, store and credentials with what was acknowledged", async () => {
    const dataDir = await tempDir();
    const first = await startLocalNats({ dataDir });
    cleanups.push(first.stop);
    const connection = await connect({
      servers: `127.0.0.1:${first.port}`,
      user: first.user,
      pass: first.password,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
    });
    cleanups.push(() => connection.close());
    const manager = await jetstreamManager(connection, { timeout: 500 });
    await manager.streams.add({ name: "kept", subjects: ["kept"] });
    await jetstream(connection).publish("kept", "acknowledged");
    first.kill();
    const second = await startLocalNats({ dataDir, port: first.port, user: first.user, password: first.password });
    cleanups.push(second.stop);
    expect(second.port).toBe(first.port);
    expect(second.url).toBe(first.url);
    await until(
      "reconnected",
      async () => (await manager.streams.info("kept").catch(() => undefined))?.state.messages === 1,
    );
    await first.stop(); // The old handle must not disturb the new server.
    await expect(startLocalNats({ dataDir })).rejects.toMatchObject({
      message: expect.stringContaining(`in use by process ${second.pid}`),
    });
  });

  test("two at once on one folder: one serves, the other is refused", async () => {
    const dataDir = await tempDir();
    const outcomes = await Promise.allSettled([startLocalNats({ dataDir }), startLocalNats({ dataDir })]);
    const served = outcomes.filter((outcome) => outcome.status === "fulfilled");
    for (const outcome of served) cleanups.push(outcome.value.stop);
    expect(served).toHaveLength(1);
  });

  test("one that does not come up is reported with its last words", async () => {
    const dataDir = await tempDir();
    const binary = join(dataDir, "nats-server");
    await writeFile(binary, "#!/bin/sh\necho 'cannot do it: no luck' >&2\nexit 3\n");
    await chmod(binary, 0o755);
    await expect(startLocalNats({ dataDir, binary })).rejects.toMatchObject({
      code: "NATS_UNAVAILABLE",
      message: expect.stringMatching(/exit code 3[\s\S]*no luck/),
    });
    await expect(startLocalNats({ dataDir, binary: join(dataDir, "absent") })).rejects.toMatchObject({
      code: "NATS_UNAVAILABLE",
      message: expect.stringMatching(/not found/),
    });
    await expect(startLocalNats({ dataDir, binary, password: 'quote"' })).rejects.toThrow(/password/);
  });

  test("dies with its parent when the parent is killed with SIGKILL, and its temporary folder goes too", async () => {
    const program = `
      const { startLocalNats } = await import(${JSON.stringify(new URL("./nats-server.js", import.meta.url).href)});
      const { pid, dataDir } = await startLocalNats();
      process.stdout.write(JSON.stringify({ pid, dataDir }) + "\\n");
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    cleanups.push(() => parent.kill("SIGKILL"));
    const { pid, dataDir } = JSON.parse(await firstLine(parent)) as { pid: number; dataDir: string };
    expect(isAlive(pid)).toBe(true);
    parent.kill("SIGKILL");
    await until("the server is gone", () => !isAlive(pid));
    await until("its folder is gone", () => !existsSync(dataDir));
  });
});

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
    child.once("exit", () => reject(new Error("the parent ended early")));
  });
}
