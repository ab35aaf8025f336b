/**
 * For tests of the shell: one with a scripted core on a network in memory, and a peer that is client and worker at
 * once.
 */
import { decodeMessage, encodeMessage } from "../../../proto/codec.js";
import type { Durable } from "../../../proto/durable/durable.js";
import { modelDurable } from "../../../proto/durable/testing/model.js";
import type { ClientId, Epoch, JobId, TenantId, WorkerId } from "../../../proto/ids.js";
import {
  type ClientReply,
  type ClientRequest,
  type ClientUpdate,
  clientReply,
  clientUpdate,
} from "../../../proto/messages/client.js";
import type { StageSpec } from "../../../proto/messages/stage.js";
import { type SchedulerCommands, schedulerCommands, type WorkerRequest } from "../../../proto/messages/worker.js";
import { subjects } from "../../../proto/subjects.js";
import { patienceMs } from "../../../proto/testing/patience.js";
import { MemoryNetwork } from "../../../proto/transport/testing/memory.js";
import { SchedulerMetrics } from "../metrics.js";
import { SchedulerShell, type ShellOptions } from "../shell.js";
import { type Script, type ScriptedCore, type ScriptedState, scriptedCore } from "./scripted-core.js";

export const client = "c1" as ClientId;
export const session = "s1" as JobId;
export const worker = "w1" as WorkerId;
const silent = { info: () => {}, warn: () => {}, error: () => {} };
const closing: (() => Promise<void> | void)[] = [];

/** Ends what the test has started; for afterEach. */
export async function closeRigs(): Promise<void> {
  for (const close of closing.splice(0).reverse()) await close();
}

export interface Rig {
  readonly network: MemoryNetwork;
  readonly core: ScriptedCore;
  readonly shell: SchedulerShell<ScriptedState>;
  readonly metrics: SchedulerMetrics;
  readonly fatal: { error: Error; code: number }[];
  /** Resolves when the shell has said that the process must end. */
  readonly died: Promise<void>;
  ask(request: ClientRequest | Uint8Array): Promise<ClientReply>;
  askAsWorker(request: WorkerRequest | Uint8Array): Promise<SchedulerCommands>;
  publish(subject: string, message: unknown): void;
  readonly updates: ClientUpdate[];
  readonly commands: SchedulerCommands[];
  /** Resolves when the condition holds after some message has arrived. */
  until(condition: () => boolean): Promise<void>;
}

export async function rig(
  script: Script,
  durable: Durable = modelDurable(),
  options: Partial<ShellOptions<ScriptedState>> = {},
  network = new MemoryNetwork(),
): Promise<Rig> {
  const core = scriptedCore(script);
  const metrics = new SchedulerMetrics();
  const fatal: Rig["fatal"] = [];
  let die = (): void => {};
  const died = new Promise<void>((resolve) => {
    die = resolve;
  });
  const shell = await SchedulerShell.start({
    core,
    transport: network.connect("scheduler"),
    durable,
    metrics,
    log: silent,
    tickMs: 10,
    snapshotEntries: 1_000,
    snapshotBytes: 1e9,
    onFatal: (error, code) => {
      fatal.push({ error, code });
      die();
    },
    ...options,
  });
  closing.push(
    () => metrics.close(),
    () => shell.stop(),
  );
  const peer = network.connect("peer");
  const updates: ClientUpdate[] = [];
  const commands: SchedulerCommands[] = [];
  let wake: (() => void)[] = [];
  const arrived = () => {
    for (const resolve of wake.splice(0)) resolve();
  };
  peer.subscribe(subjects.client(client), ({ data }) => {
    updates.push(decodeMessage(clientUpdate, data));
    arrived();
  });
  peer.subscribe(subjects.worker(worker), ({ data }) => {
    commands.push(decodeMessage(schedulerCommands, data));
    arrived();
  });
  const bytes = (message: unknown): Uint8Array => (message instanceof Uint8Array ? message : encodeMessage(message));
  return {
    network,
    core,
    shell,
    metrics,
    fatal,
    died,
    updates,
    commands,
    ask: async (request) =>
      decodeMessage(
        clientReply,
        await peer.request(subjects.schedulerClient, bytes(request), { timeoutMs: patienceMs }),
      ),
    askAsWorker: async (request) =>
      decodeMessage(
        schedulerCommands,
        await peer.request(subjects.schedulerWorker, bytes(request), { timeoutMs: patienceMs }),
      ),
    publish: (subject, message) => peer.publish(subject, bytes(message)),
    until: async (condition) => {
      while (!condition()) await new Promise<void>((resolve) => wake.push(resolve));
      wake = [];
    },
  };
}

export const stage = (index: number, fields: Partial<StageSpec> = {}): StageSpec => ({
  index,
  fn: { kernel: "noop", version: 1 },
  count: 1,
  args: [],
  options: { retries: 0, timeoutMs: patienceMs, pure: false, priority: 0 },
  ...fields,
});
export const submit = (job: string, stages: StageSpec[] = [stage(0)]): ClientRequest => ({
  t: "submit",
  job: job as JobId,
  client,
  tenant: "t" as TenantId,
  name: "n",
  stages,
  outputs: [0],
});
export const ok = (epoch: Epoch): ClientReply => ({ t: "ok", epoch });

/** Journals every submit and answers when that is done; answers everything else at once. */
export const submitScript: Script = (state, event) => {
  if (event.e !== "client" || event.reply === undefined) return [];
  const { request, reply } = event;
  if (request.t !== "submit") return [{ c: "reply", to: reply, message: ok(state.epoch), gated: false }];
  return [
    { c: "record", record: { k: "cancel", job: request.job, atMs: 1 } },
    {
      c: "reply",
      to: reply,
      message: { t: "submitted", epoch: state.epoch, job: request.job, existed: false },
      gated: true,
    },
  ];
};

/** Whether the promise has been fulfilled; its failure (the connection is closed at the end of a test) is expected. */
export function received(answer: Promise<unknown>): () => boolean {
  let fulfilled = false;
  answer.then(
    () => {
      fulfilled = true;
    },
    () => undefined,
  );
  return () => fulfilled;
}
