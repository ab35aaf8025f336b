import { afterAll, beforeAll, expect, it } from "vitest";
import { listKernels } from "volley/kernels";
import { TestGateway } from "./testing/test-gateway.js";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await TestGateway.open();
});
afterAll(() => gateway.close());

interface Described {
  readonly name: string;
  readonly args: readonly { name: string; schema: { properties?: Record<string, unknown>; required?: string[] } }[];
  readonly lookback?: number | string;
  readonly causality?: string;
}
const list = async (): Promise<Described[]> =>
  (JSON.parse((await gateway.ask("GET", "/v1/kernels")).text) as { kernels: Described[] }).kernels;

it("lists every kernel with the schema of its arguments", async () => {
  const kernels = await list();
  expect(kernels.map(({ name }) => name).toSorted()).toEqual(
    [...new Set(listKernels().map(({ name }) => name))].toSorted(),
  );
  for (const { args } of kernels)
    expect(args.every(({ schema }) => typeof schema === "object" && schema !== null)).toBe(true);
  const sma = kernels.find(({ name }) => name === "feature.sma");
  expect(sma?.args.map(({ name }) => name)).toEqual(["table", "params", "carry"]);
  expect(sma?.args[1]?.schema).toMatchObject({
    properties: { window: { type: "integer", minimum: 1 } },
    required: ["window"],
  });
  expect(sma).not.toHaveProperty("lookback");
});

it.each(["rsi", "feature.rsi"])("tells of one kernel, by the name %s", async (name) => {
  const answer = await gateway.ask("GET", `/v1/kernels/${name}`);
  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.text)).toMatchObject({
    name: "feature.rsi",
    version: 1,
    lag: 0,
    nulls: expect.stringContaining("missing"),
    columns: { inputs: [{ name: "value", type: "number" }], outputs: [{ type: "float64" }] },
    costNs: expect.any(Number),
  });
  expect(JSON.parse(answer.text)).toEqual((await list()).find((kernel) => kernel.name === "feature.rsi"));
});

it("says how far back a kernel looks with its defaults", async () => {
  const kernels = new Map((await list()).map((kernel) => [kernel.name, kernel.lookback]));
  expect([kernels.get("feature.pct_change"), kernels.get("feature.cumsum"), kernels.get("panel.rank")]).toEqual([
    1,
    "unbounded",
    0,
  ]);
});

it("says what the rows of a kernel know of the future", async () => {
  const kernels = new Map((await list()).map((kernel) => [kernel.name, kernel]));
  const told = ["feature.rsi", "panel.forward_returns", "stats.returns", "volley.echo"].map(
    (name) => kernels.get(name)?.causality,
  );
  expect(told).toEqual(["causal", "label", "summary", "tool"]);
  expect(kernels.get("asof.join")).toMatchObject({
    causality: "causal",
    labelWith: { direction: ["forward", "nearest"] },
  });
});

it("names the near ones of a kernel that is not there", async () => {
  const answer = await gateway.ask("GET", "/v1/kernels/rolling_men");
  expect([answer.status, answer.json().error.code]).toEqual([404, "FUNCTION_NOT_FOUND"]);
  expect(answer.json().error.message).toContain("did you mean rolling_mean");
  expect((await gateway.ask("GET", "/v1/kernels/rsi", { headers: { authorization: "" } })).status).toBe(401);
});

it("is in the OpenAPI document", async () => {
  const { paths } = JSON.parse((await gateway.ask("GET", "/openapi.json")).text) as { paths: Record<string, unknown> };
  expect(Object.keys(paths)).toEqual(expect.arrayContaining(["/v1/kernels", "/v1/kernels/{name}"]));
});
