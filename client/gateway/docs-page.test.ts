import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TestGateway } from "./testing/test-gateway.js";

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await TestGateway.open();
});
afterEach(() => gateway.close());
const ask: TestGateway["ask"] = (...args) => gateway.ask(...args);

describe("the documentation", () => {
  it("describes every route in OpenAPI 3.1", async () => {
    const document = (await ask("GET", "/openapi.json")).json() as unknown as {
      openapi: string;
      paths: Record<string, Record<string, unknown>>;
    };
    expect(document.openapi).toBe("3.1.0");
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(operations.sort()).toEqual([
      "delete /v1/jobs/{id}",
      "get /healthz",
      "get /metrics",
      "get /readyz",
      "get /v1/jobs",
      "get /v1/jobs/{id}",
      "get /v1/jobs/{id}/events",
      "get /v1/jobs/{id}/explain",
      "get /v1/jobs/{id}/result",
      "get /v1/kernels",
      "get /v1/kernels/{name}",
      "get /v1/objects/{id}",
      "get /v1/workers",
      "post /v1/jobs",
      "post /v1/jobs/{id}/cancel",
      "post /v1/objects",
    ]);
  });

  it("has every schema that it refers to", async () => {
    const { text } = await ask("GET", "/openapi.json");
    const { schemas } = (JSON.parse(text) as { components: { schemas: Record<string, unknown> } }).components;
    const refs = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1] as string);
    expect(refs.length).toBeGreaterThan(10);
    for (const ref of refs) expect(Object.keys(schemas).map((name) => `#/components/schemas/${name}`)).toContain(ref);
  });

  it("serves the page and everything it loads from here", async () => {
    const { text } = await ask("GET", "/docs/");
    const loaded = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] as string);
    expect(loaded.length).toBeGreaterThan(3);
    for (const address of loaded) {
      expect(address).not.toMatch(/^(https?:)?\/\//);
      expect((await ask("GET", new URL(address, "http://localhost/docs/").pathname)).status, address).toBe(200);
    }
  });
});
