/** A gateway over a cluster in memory, asked without a socket; for tests. */
import type { App } from "../context.js";
import { buildGateway, type GatewayOptions } from "../gateway.js";
import { FakeCluster } from "./fake-cluster.js";

export const testToken = "a-token-of-some-length";
const testGraph = {
  name: "g",
  stages: [
    { name: "one", fn: { kernel: "noop" }, count: 3 },
    { name: "two", fn: { kernel: "noop" }, args: [{ stage: "one", edge: "all" }] },
  ],
};

/** Whichever of these the answer has. */
interface Body {
  readonly job: string;
  readonly state: string;
  readonly object: string;
  readonly columns: unknown;
  readonly rows: unknown;
  readonly values: unknown;
  readonly error: { code: string; message: string; path?: string; details?: unknown };
}
export interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly json: () => Body;
  readonly text: string;
  readonly bytes: Buffer;
}

export class TestGateway {
  readonly cluster: FakeCluster;
  readonly graph = testGraph;
  readonly #app: App;

  private constructor(app: App, cluster: FakeCluster) {
    this.#app = app;
    this.cluster = cluster;
  }

  static async open(options: Partial<GatewayOptions> = {}): Promise<TestGateway> {
    const cluster = new FakeCluster();
    return new TestGateway(await buildGateway({ cluster, token: testToken, ...options }), cluster);
  }

  async ask(
    method: string,
    url: string,
    options: { headers?: Record<string, string>; body?: unknown } = {},
  ): Promise<Answer> {
    const payload = options.body === undefined ? {} : { payload: options.body as string };
    const headers: Record<string, string> = {
      host: "localhost",
      authorization: `Bearer ${testToken}`,
      ...options.headers,
    };
    const answer = await this.#app.inject({ method: method as "GET", url, headers, ...payload });
    return {
      status: answer.statusCode,
      headers: answer.headers,
      json: () => answer.json<Body>(),
      text: answer.body,
      bytes: answer.rawPayload,
    };
  }

  async submit(): Promise<string> {
    return (await this.ask("POST", "/v1/jobs", { body: testGraph })).json().job;
  }

  close(): Promise<void> {
    return this.#app.close().then(() => undefined);
  }
}
