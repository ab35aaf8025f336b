/** The largest single requests that the protocol lets a client make, and the way to make them. */
import { randomBytes } from "node:crypto";
import { decodeRaw, encodeMessage } from "../../proto/codec.js";
import { defaultStageOptions } from "../../proto/graph.js";
import {
  type BundleId,
  type ClientId,
  type Epoch,
  type JobId,
  objectIdOf,
  stageBaseOf,
  type TenantId,
} from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ClientReply, ClientRequest } from "../../proto/messages/client.js";
import type { ArgSpec, StageSpec } from "../../proto/messages/stage.js";
import { subjects } from "../../proto/subjects.js";
import { connectNats, type NatsTransport } from "../../proto/transport/nats.js";
import { PROTOCOL_VERSION } from "../../proto/version.js";

/** A client that says what it is told to, and nothing by itself. */
export class Asker {
  readonly client = `bench-${randomBytes(4).toString("hex")}` as ClientId;
  readonly session = `s${randomBytes(8).toString("hex")}` as JobId;
  readonly tenant = "bench" as TenantId;
  readonly #transport: NatsTransport;

  private constructor(transport: NatsTransport) {
    this.#transport = transport;
  }

  static async connect(url: string): Promise<Asker> {
    return new Asker(await connectNats({ url, name: "bench" }));
  }

  /** Rejects with what the transport says; an error is a reply like others. */
  async ask(request: ClientRequest, timeoutMs = 60_000): Promise<ClientReply> {
    const data = encodeMessage(request);
    return decodeRaw(await this.#transport.request(subjects.schedulerClient, data, { timeoutMs })) as ClientReply;
  }

  /** Throws the scheduler's error. */
  async must(request: ClientRequest): Promise<ClientReply> {
    const reply = await this.ask(request);
    if (reply.t === "error") throw new Error(`${request.t}: ${reply.error.code}: ${reply.error.message}`);
    return reply;
  }

  async open(): Promise<void> {
    const { client, session, tenant } = this;
    await this.must({ t: "open", client, session, tenant, version: PROTOCOL_VERSION });
  }

  async stages(stages: StageSpec[]): Promise<void> {
    this.#transport.publish(
      subjects.schedulerClient,
      encodeMessage({ t: "stages", session: this.session, client: this.client, stages }),
    );
    await this.must({ t: "workers" });
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }
}

const bundle = "0".repeat(64) as BundleId;
const stage = (index: number, count: number, args: ArgSpec[] = [{ a: "index" }], pure = false): StageSpec => ({
  index,
  name: `stage ${index}`,
  fn: { bundle, export: "nothing" },
  count,
  args,
  options: { ...defaultStageOptions, pure },
});

const mostStages = (): StageSpec[] =>
  Array.from({ length: limits.stagesPerJobMax }, (_, index) => {
    const args: ArgSpec[] = index === 0 ? [] : [{ a: "stage", stage: index - 1, edge: "one-to-one" }];
    return stage(index, 2_000, [...args, { a: "value", kind: 1, data: Uint8Array.of(index & 0x7f) }], true);
  });

const refs = 100_000;
const argumentBytes = 7_000_000;
/** Far more than a heartbeat may name, so it is refused; it has to be read for that. */
const heartbeatStages = 500_000;
const locatedIds = 10_000;

export interface SingleRequest {
  readonly name: string;
  /** What must be there before; its memory does not count. */
  prepare(asker: Asker): Promise<void>;
  /** As a message that is ready, so that this process has done its part before. */
  run(asker: Asker): Promise<unknown>;
}

const opened = (asker: Asker): Promise<void> => asker.open();
const job = "bench-job" as JobId;
const heartbeat = (asker: Asker, stages: number): Promise<ClientReply> => {
  const waiting = Array.from({ length: stages }, (_, i) => i);
  const { client, session } = asker;
  return asker.ask({ t: "heartbeat", client, session, epoch: 0 as Epoch, waiting, released: [] });
};
const submit = (asker: Asker, stages: StageSpec[]): Promise<ClientReply> => {
  const { client, tenant } = asker;
  return asker.must({ t: "submit", job, client, tenant, name: "bench", stages, outputs: [stages.length - 1] });
};

export const singleRequests: readonly SingleRequest[] = [
  {
    name: `submit of ${limits.stagesPerJobMax} stages of 2,000 tasks`,
    prepare: opened,
    run: (asker) => submit(asker, mostStages()),
  },
  {
    name: `a stage that takes ${refs} refs`,
    prepare: async (asker) => {
      await asker.open();
      await asker.stages([stage(0, refs)]);
    },
    run: (asker) => {
      const of = Array.from({ length: refs }, (_, task): ArgSpec => ({ a: "task", stage: 0, task }));
      return asker.stages([stage(1, 1, [{ a: "list", of }])]);
    },
  },
  {
    name: `a stage with ${argumentBytes} bytes of arguments`,
    prepare: opened,
    run: (asker) => asker.stages([stage(0, 1, [{ a: "value", kind: 3, data: new Uint8Array(argumentBytes) }])]),
  },
  {
    name: `a heartbeat of ${heartbeatStages} stages, which is refused`,
    prepare: opened,
    run: (asker) => heartbeat(asker, heartbeatStages),
  },
  {
    name: `a heartbeat of ${limits.heartbeatStagesMax} stages`,
    prepare: opened,
    run: (asker) => heartbeat(asker, limits.heartbeatStagesMax),
  },
  {
    name: `where ${locatedIds} objects are`,
    prepare: opened,
    run: (asker) => {
      const ids = Array.from({ length: locatedIds }, (_, i) => objectIdOf(stageBaseOf(asker.session, 0), i));
      return asker.must({ t: "locate", ids });
    },
  },
  {
    name: `a list of jobs, one of ${limits.stagesPerJobMax} stages`,
    prepare: async (asker) => {
      await submit(asker, mostStages());
    },
    run: (asker) => asker.must({ t: "list", limit: limits.jobsListedMax }),
  },
  {
    name: `the status of a job of ${limits.stagesPerJobMax} stages`,
    prepare: async (asker) => {
      await submit(asker, mostStages());
    },
    run: (asker) => asker.must({ t: "status", job }),
  },
  {
    name: "why the last task of a stage of 100,000 refs waits",
    prepare: async (asker) => {
      await asker.open();
      const of = Array.from({ length: refs }, (_, task): ArgSpec => ({ a: "task", stage: 0, task }));
      await asker.stages([stage(0, refs), stage(1, 1, [{ a: "list", of }])]);
    },
    run: (asker) => asker.must({ t: "explain", job: asker.session, stage: 1, task: 0 }),
  },
];
