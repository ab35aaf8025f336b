/**
 * A nats-server of our own on loopback: started, watched, stopped, restarted on the same port and store.
 * Owns one server process; finding its binary is resolve-nats.ts.
 */
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { VolleyError } from "../../proto/errors.js";
import { type NatsRole, natsRoles } from "../../proto/permissions.js";
import { sleep as delay } from "../../proto/timer.js";
import { lockDataDir } from "./data-lock.js";
import { type GuardedProcess, type ProcessEnd, spawnGuarded } from "./guarded-process.js";
import { natsConfig } from "./nats-config.js";
import { resolveNatsServer } from "./resolve-nats.js";

const startTimeoutMsDefault = 30_000;
const stopTimeoutMs = 5_000;

export interface LocalNatsOptions {
  /** Where JetStream keeps its files. Default: a temporary folder that is removed when the server is stopped. */
  readonly dataDir?: string;
  /** Default: any free port. */
  readonly port?: number;
  /** Default: generated. */
  readonly user?: string;
  readonly password?: string;
  /** Passwords of the roles' users. Default: generated. */
  readonly roles?: Readonly<Record<NatsRole, string>>;
  /** Path of nats-server. Default: whatever {@link resolveNatsServer} finds. */
  readonly binary?: string;
  /** Removed when this process dies without stopping the server. Default: the data folder, if it is temporary. */
  readonly scratchDir?: string | undefined;
  readonly startTimeoutMs?: number;
}

export interface LocalNats {
  /** nats://user:password@127.0.0.1:port, of a user who may do everything. */
  readonly url: string;
  /** The same for each role's own user (proto/permissions.ts). */
  readonly urls: Readonly<Record<NatsRole, string>>;
  readonly roles: Readonly<Record<NatsRole, string>>;
  readonly user: string;
  readonly password: string;
  /** Of the server itself. */
  readonly pid: number;
  readonly port: number;
  readonly monitorPort: number;
  readonly dataDir: string;
  readonly ended: Promise<ProcessEnd>;
  lastLines(): readonly string[];
  /** Ends the server and, if the data folder was temporary, removes it. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash would; a new server can be started on the same dataDir, port and credentials at once. */
  kill(): void;
  signal(name: NodeJS.Signals): void;
}

/** Temporary folders that are still there: a server may have been killed and another started in its folder. */
const temporaryDirs = new Set<string>();

async function temporaryDir(): Promise<string> {
  if (!process.listeners("exit").includes(removeTemporaryDirs)) process.on("exit", removeTemporaryDirs);
  const dir = await mkdtemp(join(tmpdir(), "volley-nats-"));
  temporaryDirs.add(dir);
  return dir;
}

function removeTemporaryDirs(): void {
  for (const dir of temporaryDirs) rmSync(dir, { recursive: true, force: true });
}

/**
 * Resolves when the server, JetStream included, is healthy. Fails with NATS_UNAVAILABLE and the server's last words.
 */
export async function startLocalNats(options: LocalNatsOptions = {}): Promise<LocalNats> {
  const binary = options.binary ?? (await resolveNatsServer()).path;
  const temporary = options.dataDir === undefined;
  const dataDir = resolve(options.dataDir ?? (await temporaryDir()));
  const user = options.user ?? "volley";
  const password = options.password ?? randomBytes(24).toString("base64url");
  const roles = options.roles ?? generatedRoles();
  const storeDir = join(dataDir, "jetstream");
  await mkdir(storeDir, { recursive: true, mode: 0o700 });
  const lock = await lockDataDir(dataDir);
  let server: GuardedProcess | undefined;
  const cleanUp = async () => {
    await lock.release();
    if (!temporary) return;
    await rm(dataDir, { recursive: true, force: true });
    temporaryDirs.delete(dataDir);
  };
  try {
    const configPath = join(dataDir, "nats-server.conf");
    await writeFile(configPath, natsConfig({ dataDir, storeDir, port: options.port ?? -1, user, password, roles }), {
      mode: 0o600,
    });
    await chmod(configPath, 0o600); // `mode` above has no effect on a file that was there.
    server = await spawnGuarded({
      command: binary,
      args: ["-c", configPath],
      scratchDir: options.scratchDir ?? (temporaryDirs.has(dataDir) ? dataDir : undefined),
    });
    await lock.assign(server.pid);
    const ports = await waitUntilHealthy(
      server,
      join(dataDir, `${basename(binary)}_${server.pid}.ports`),
      options.startTimeoutMs ?? startTimeoutMsDefault,
    );
    // The server has read it, and it holds every password: what runs as this user might read it, too.
    await rm(configPath, { force: true });
    const running = server;
    const urlOf = (name: string, secret: string): string => `nats://${name}:${secret}@127.0.0.1:${ports.client}`;
    return {
      url: urlOf(user, password),
      urls: Object.fromEntries(natsRoles.map((role) => [role, urlOf(role, roles[role])])) as Record<NatsRole, string>,
      roles,
      user,
      password,
      pid: running.pid,
      port: ports.client,
      monitorPort: ports.monitor,
      dataDir,
      ended: running.ended,
      lastLines: running.lastLines,
      async stop() {
        await running.stop("SIGINT", stopTimeoutMs);
        await cleanUp();
      },
      kill: () => running.signal("SIGKILL"),
      signal: running.signal,
    };
  } catch (error) {
    const words = server?.lastLines().slice(-8) ?? [];
    await server?.stop("SIGKILL", stopTimeoutMs);
    await cleanUp();
    const reason = error instanceof Error ? error.message : String(error);
    throw new VolleyError(
      "NATS_UNAVAILABLE",
      [`nats-server (${binary}) did not come up: ${reason}`, ...words.map((line) => `  ${line}`)].join("\n"),
      {
        cause: error,
      },
    );
  }
}

const generatedRoles = (): Record<NatsRole, string> =>
  Object.fromEntries(natsRoles.map((role) => [role, randomBytes(24).toString("base64url")])) as Record<
    NatsRole,
    string
  >;

interface Ports {
  client: number;
  monitor: number;
}

async function waitUntilHealthy(server: GuardedProcess, portsFile: string, timeoutMs: number): Promise<Ports> {
  const deadline = performance.now() + timeoutMs;
  let ports: Ports | undefined;
  for (;;) {
    if (server.hasEnded()) throw new Error(`it ended with ${(await server.ended).how}`);
    ports ??= await readPorts(portsFile);
    if (ports && (await isHealthy(ports.monitor))) return ports;
    if (performance.now() > deadline)
      throw new Error(ports ? `/healthz was not ok after ${timeoutMs} ms` : `it opened no port within ${timeoutMs} ms`);
    await Promise.race([delay(15), server.ended]);
  }
}

async function readPorts(path: string): Promise<Ports | undefined> {
  try {
    const emitted = JSON.parse(await readFile(path, "utf8")) as { nats?: string[]; monitoring?: string[] };
    const portOf = (urls: string[] | undefined) => Number(new URL(urls?.[0] ?? "").port);
    return { client: portOf(emitted.nats), monitor: portOf(emitted.monitoring) };
  } catch {
    return undefined; // Not written yet, or half written.
  }
}

function isHealthy(monitorPort: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(
      { host: "127.0.0.1", port: monitorPort, path: "/healthz", timeout: 1_000, agent: false },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
  });
}
