import { describe, expect, it } from "vitest";
import { readConfig } from "../process/config.js";
import { gatewayConfig, runGateway } from "./gateway.js";

const env = { VOLLEY_URL: "nats://127.0.0.1:1", VOLLEY_TOKEN: "0123456789abcdef" };
const config = (more: Record<string, string> = {}) => readConfig(gatewayConfig, {}, { ...env, ...more });

describe("the gateway's configuration", () => {
  it("needs a cluster and a token of some length, and has defaults for the rest", () => {
    expect(config()).toMatchObject({
      host: "127.0.0.1",
      port: 0,
      tlsCert: null,
      insecureListen: false,
      tenant: "default",
      uploadMibMax: 64,
    });
    expect(() => readConfig(gatewayConfig, {}, { VOLLEY_URL: "x" })).toThrow(/VOLLEY_TOKEN .* is required/);
    expect(() => config({ VOLLEY_TOKEN: "short" })).toThrow(/at least 16 characters/);
    expect(() => config({ VOLLEY_TENANT: "a b" })).toThrow(/VOLLEY_TENANT/);
  });

  it("is refused before anything is opened when it would show the token to a network", async () => {
    await expect(runGateway(config({ VOLLEY_GATEWAY_HOST: "0.0.0.0" }))).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining("without TLS"),
    });
    await expect(runGateway(config({ VOLLEY_TLS_CERT: "/some/cert.pem" }))).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining("VOLLEY_TLS_KEY"),
    });
    await expect(
      runGateway(config({ VOLLEY_TLS_CERT: "/none/cert.pem", VOLLEY_TLS_KEY: "/none/key.pem" })),
    ).rejects.toThrow(/ENOENT/);
  });
});
