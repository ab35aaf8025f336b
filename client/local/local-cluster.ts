/**
 * A whole cluster on this machine: nats-server, scheduler, workers and gateway as child processes, supervised, on loopback, with credentials of its own.
 * Nothing of it outlives this process, however this process ends.
 */
import { randomBytes } from "node:crypto";
import { createWriteStream, type WriteStream } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { VolleyError } from "../../proto/errors.js";
import { type LocalNats, startLocalNats } from "./nats-server.js";
import { resolveNatsServer } from "./resolve-nats.js";
import { type RoleInstance, type RoleName, startRole } from "./role-process.js";
import { type Instance, type Supervised, type SupervisionEvent, supervise } from "./supervise.js";

const workersMax = 256;
/** Unless told otherwise there is one slot per core, spread over at most this many workers. */
const workersMaxDefault = 8;

type ProcessRole = "nats" | RoleName;

export interface ClusterProcess {
  readonly role: ProcessRole;
  readonly name: string;
  readonly pid: number;
}

export type ClusterEvent =
  | { readonly type: "progress"; readonly text: string }
  | { readonly type: "ready"; readonly role: ProcessRole; readonly name: string; readonly pid: number }
  | ({ readonly role: ProcessRole; readonly name: string } & SupervisionEvent);

export interface LocalClusterOptions {
  readonly workers?: number;
  /** Threads per worker. */
  readonly slots?: number;
  /** Default true. */
  readonly gateway?: boolean;
  /** Default: any free port. */
  readonly gatewayPort?: number;
  /** Default: a temporary folder, removed in the end. */
  readonly dataDir?: string;
  /** Bearer token of the gateway. Default: generated. */
  readonly token?: string;
  /** Further environment of every role, e.g. VOLLEY_LOG. */
  readonly env?: Readonly<Record<string, string>>;
  readonly onEvent?: (event: ClusterEvent) => void;
  /** Ends a start that is under way. A running cluster is ended by `stop`. */
  readonly signal?: AbortSignal;
}

export interface LocalCluster {
  /** nats://user:password@127.0.0.1:port */
  readonly url: string;
  readonly gatewayUrl?: string;
  readonly token: string;
  readonly dataDir: string;
  /** What runs right now. */
  readonly processes: readonly ClusterProcess[];
  /** Sends a signal to a process, by name ("nats", "scheduler", "worker-1", "gateway"). If it dies of it, it is started again. */
  kill(name: string, signal?: NodeJS.Signals): void;
  /** Resolves with the new worker's name when it has joined. */
  addWorker(): Promise<string>;
  /** Ends every process; resolves when they are gone. */
  stop(): Promise<void>;
}

interface Member {
  readonly role: ProcessRole;
  readonly name: string;
  readonly supervised: Supervised<Instance>;
}

/** Resolves when every role serves. On failure everything that was started is stopped. */
export async function startLocalCluster(options: LocalClusterOptions = {}): Promise<LocalCluster> {
  const shape = clusterShape(options);
  const emit = options.onEvent ?? (() => {});
  const temporary = options.dataDir === undefined;
  const dataDir = resolve(options.dataDir ?? (await mkdtemp(join(tmpdir(), "volley-local-"))));
  await mkdir(join(dataDir, "logs"), { recursive: true, mode: 0o700 });
  const token = options.token ?? randomBytes(32).toString("base64url");
  const members: Member[] = [];
  const logs: WriteStream[] = [];
  const giveUp = new AbortController();
  options.signal?.addEventListener("abort", () => giveUp.abort(options.signal?.reason), { once: true });
  let workersNamed = 0;
  let gatewayPort = options.gatewayPort ?? 0;

  const add = async <I extends Instance>(role: ProcessRole, name: string, start: (signal: AbortSignal) => Promise<I>): Promise<Supervised<I>> => {
    const supervised = await supervise(start, (event) => emit({ role, name, ...event }));
    members.push({ role, name, supervised });
    emit({ type: "ready", role, name, pid: supervised.current().pid });
    return supervised;
  };
  const addRole = async (role: RoleName, name: string, env: () => Record<string, string>): Promise<Supervised<RoleInstance>> => {
    const log = createWriteStream(join(dataDir, "logs", `${name}.log`), { mode: 0o600 });
    log.on("error", () => {}); // A full disk must not end the cluster for the sake of its log.
    logs.push(log);
    return add(role, name, (signal) =>
      startRole({ role, name, signal: AbortSignal.any([signal, giveUp.signal]), env: { ...options.env, ...env() }, onLine: (line) => log.write(`${line}\n`) }),
    );
  };
  const stop = async () => {
    const stopAll = (...roles: ProcessRole[]) => Promise.all(members.filter(({ role }) => roles.includes(role)).map(({ supervised }) => supervised.stop()));
    await stopAll("gateway");
    await stopAll("worker");
    await stopAll("scheduler");
    await stopAll("nats");
    for (const log of logs) log.end();
    if (temporary) await rm(dataDir, { recursive: true, force: true, maxRetries: 3 });
  };

  try {
    const nats = await startSupervisedNats(dataDir, temporary, emit, add);
    const url = nats.url;
    const base = { VOLLEY_URL: url, VOLLEY_METRICS_PORT: "0" };
    const addWorker = async () => {
      const name = `worker-${++workersNamed}`;
      await addRole("worker", name, () => ({ ...base, VOLLEY_SLOTS: String(shape.slots), VOLLEY_SPILL_DIR: join(dataDir, "spill", name) }));
      return name;
    };
    emit({
      type: "progress",
      text: `starting scheduler, ${shape.workers} ${shape.workers === 1 ? "worker" : "workers"}${shape.gateway ? " and gateway" : ""}`,
    });
    const starts: Promise<unknown>[] = [addRole("scheduler", "scheduler", () => base)];
    for (let i = 0; i < shape.workers; i++) starts.push(addWorker());
    let gatewayUrl: string | undefined;
    if (shape.gateway) {
      const env = () => ({ ...base, VOLLEY_TOKEN: token, VOLLEY_GATEWAY_PORT: String(gatewayPort) });
      starts.push(
        addRole("gateway", "gateway", env).then((gateway) => {
          gatewayUrl = gateway.current().ready.url;
          if (gatewayUrl) gatewayPort = Number(new URL(gatewayUrl).port); // A restarted gateway is found where it was.
        }),
      );
    }
    await allOrFirstFailure(starts, giveUp);
    options.signal?.throwIfAborted();
    return {
      url,
      ...(gatewayUrl ? { gatewayUrl } : {}),
      token,
      dataDir,
      get processes() {
        return members.filter(({ supervised }) => supervised.isRunning()).map(({ role, name, supervised }) => ({ role, name, pid: supervised.current().pid }));
      },
      kill(name, signal = "SIGKILL") {
        const member = members.find((candidate) => candidate.name === name);
        if (!member)
          throw new VolleyError(
            "INVALID_ARGUMENT",
            `No process is called ${JSON.stringify(name)}; there are ${members.map((known) => known.name).join(", ")}.`,
          );
        member.supervised.current().signal(signal);
      },
      addWorker,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Add = <I extends Instance>(role: ProcessRole, name: string, start: (signal: AbortSignal) => Promise<I>) => Promise<Supervised<I>>;

/** The server keeps port, store and credentials over its restarts, so that everybody just reconnects. */
async function startSupervisedNats(dataDir: string, temporary: boolean, emit: (event: ClusterEvent) => void, add: Add): Promise<LocalNats> {
  const binary = await resolveNatsServer({ onProgress: (text) => emit({ type: "progress", text }) });
  emit({ type: "progress", text: `starting nats-server ${binary.version} (from ${binary.source})` });
  let first: LocalNats | undefined;
  await add("nats", "nats", async () => {
    const again = first ? { port: first.port, user: first.user, password: first.password } : {};
    const server = await startLocalNats({ dataDir: join(dataDir, "nats"), binary: binary.path, scratchDir: temporary ? dataDir : undefined, ...again });
    first ??= server;
    return server;
  });
  if (!first) throw new VolleyError("INTERNAL", "nats-server was started and is not there");
  return first;
}

function clusterShape(options: LocalClusterOptions): { workers: number; slots: number; gateway: boolean } {
  const cores = availableParallelism();
  const workers = options.workers ?? Math.min(cores, workersMaxDefault);
  const slots = options.slots ?? Math.max(1, Math.floor(cores / Math.max(workers, 1)));
  if (!Number.isInteger(workers) || workers < 0 || workers > workersMax)
    throw new VolleyError("INVALID_ARGUMENT", `workers is ${workers}: expected a whole number from 0 to ${workersMax}`);
  if (!Number.isInteger(slots) || slots < 1) throw new VolleyError("INVALID_ARGUMENT", `slots is ${slots}: expected a whole number of at least 1`);
  return { workers, slots, gateway: options.gateway ?? true };
}

/** Like Promise.all, but at the first failure it makes the others give up and waits for them, so that nothing is under way any more. */
async function allOrFirstFailure(promises: readonly Promise<unknown>[], giveUp: AbortController): Promise<void> {
  let failure: { error: unknown } | undefined;
  const watched = promises.map((promise) =>
    promise.catch((error) => {
      failure ??= { error };
      giveUp.abort();
    }),
  );
  await Promise.all(watched);
  if (failure) throw failure.error;
}
