/**
 * The gateway's process: configuration, the connection to the cluster, and the socket. It is `volley/gateway` too, for
 * programs that hold a gateway: `buildGateway` over a connected cluster, or `runGateway` as a process does it.
 */
import { readFile } from "node:fs/promises";
import pino from "pino";
import { buildGateway } from "../../client/gateway/gateway.js";
import { connect } from "../../client/sdk/index.js";
import { VolleyError } from "../../proto/errors.js";
import { isName } from "../../proto/ids.js";
import {
  type ConfigOf,
  type ConfigTable,
  configKey,
  flagValue,
  integer,
  optionalText,
  text,
} from "../process/config.js";
import { roleConfig } from "../process/role-config.js";

export { buildGateway, type GatewayOptions } from "../../client/gateway/gateway.js";

import { checkListen } from "../../client/gateway/security.js";

const mib = integer(1, 256);
const ms = integer(100, 24 * 3_600_000);

export const gatewayConfig = {
  ...roleConfig,
  token: configKey({
    env: "VOLLEY_TOKEN",
    flag: "token",
    doc: "The bearer token that every request but health must carry; 16 characters or more. VOLLEY_TOKEN_FILE names a file with it, which is removed once it is read.",
    default: undefined,
    parse: (value) => {
      if (value.length < 16 || /\s/.test(value)) throw new Error("expected at least 16 characters without spaces");
      return value;
    },
  }),
  host: configKey({
    env: "VOLLEY_GATEWAY_HOST",
    flag: "host",
    doc: "Address to listen on. Other than loopback needs TLS or VOLLEY_INSECURE_LISTEN.",
    default: "127.0.0.1",
    parse: text,
  }),
  port: configKey({
    env: "VOLLEY_GATEWAY_PORT",
    flag: "port",
    doc: "Port to listen on; 0 for a free one.",
    default: 0,
    parse: integer(0, 65_535),
  }),
  allowedHosts: configKey({
    env: "VOLLEY_ALLOWED_HOSTS",
    flag: "allowed-hosts",
    doc: "Host names to answer for besides loopback, separated by commas.",
    default: "",
    parse: text,
  }),
  tlsCert: configKey({
    env: "VOLLEY_TLS_CERT",
    flag: "tls-cert",
    doc: "PEM file of the certificate.",
    default: null,
    parse: optionalText,
  }),
  tlsKey: configKey({
    env: "VOLLEY_TLS_KEY",
    flag: "tls-key",
    doc: "PEM file of the certificate's key.",
    default: null,
    parse: optionalText,
  }),
  insecureListen: configKey({
    env: "VOLLEY_INSECURE_LISTEN",
    flag: "insecure-listen",
    doc: "true: listen beyond loopback without TLS, because something in front encrypts.",
    default: false,
    parse: flagValue,
  }),
  tenant: configKey({
    env: "VOLLEY_TENANT",
    flag: "tenant",
    doc: "Whose work the gateway submits.",
    default: "default",
    parse: (value) => {
      if (!isName(value)) throw new Error("expected 1 to 64 letters, digits, _ or -");
      return value;
    },
  }),
  graphMibMax: configKey({
    env: "VOLLEY_GRAPH_MIB_MAX",
    flag: "graph-mib-max",
    doc: "Largest JSON graph, MiB.",
    default: 16,
    parse: mib,
  }),
  uploadMibMax: configKey({
    env: "VOLLEY_UPLOAD_MIB_MAX",
    flag: "upload-mib-max",
    doc: "Largest upload, MiB.",
    default: 64,
    parse: mib,
  }),
  uploadsMax: configKey({
    env: "VOLLEY_UPLOADS_MAX",
    flag: "uploads-max",
    doc: "Uploads at once.",
    default: 4,
    parse: integer(1, 1_024),
  }),
  inFlightMax: configKey({
    env: "VOLLEY_IN_FLIGHT_MAX",
    flag: "in-flight-max",
    doc: "Requests at once; one more is answered with 429.",
    default: 256,
    parse: integer(1, 100_000),
  }),
  streamsMax: configKey({
    env: "VOLLEY_STREAMS_MAX",
    flag: "streams-max",
    doc: "Event streams at once.",
    default: 128,
    parse: integer(1, 100_000),
  }),
  answersMax: configKey({
    env: "VOLLEY_ANSWERS_MAX",
    flag: "answers-max",
    doc: "Answers with results at once; one more is answered with 429.",
    default: 32,
    parse: integer(1, 100_000),
  }),
  answerMibMax: configKey({
    env: "VOLLEY_ANSWER_MIB_MAX",
    flag: "answer-mib-max",
    doc: "Memory for results that are being given, all answers together, MiB. A larger result is given alone.",
    default: 256,
    parse: integer(1, 1_048_576),
  }),
  requestTimeoutMs: configKey({
    env: "VOLLEY_REQUEST_TIMEOUT_MS",
    flag: "request-timeout-ms",
    doc: "For a request to arrive, and for a handler to answer.",
    default: 30_000,
    parse: ms,
  }),
  decodeTimeoutMs: configKey({
    env: "VOLLEY_DECODE_TIMEOUT_MS",
    flag: "decode-timeout-ms",
    doc: "For an upload to be decoded.",
    default: 60_000,
    parse: ms,
  }),
} satisfies ConfigTable;

export type GatewayConfig = ConfigOf<typeof gatewayConfig>;

/** Throws INVALID_ARGUMENT for an unsafe address, NATS_UNAVAILABLE if the cluster's NATS does not answer. */
export async function runGateway(config: GatewayConfig): Promise<{ url: string; stop(): Promise<void> }> {
  const { tlsCert, tlsKey } = config;
  if ((tlsCert === null) !== (tlsKey === null))
    throw new VolleyError("INVALID_ARGUMENT", "TLS needs both VOLLEY_TLS_CERT and VOLLEY_TLS_KEY");
  const tls =
    tlsCert !== null && tlsKey !== null ? { cert: await readFile(tlsCert), key: await readFile(tlsKey) } : undefined;
  checkListen(config.host, { tls: tls !== undefined, insecure: config.insecureListen });
  const mebibyte = 1024 * 1024;
  const cluster = await connect({ url: config.url, tenant: config.tenant });
  try {
    const app = await buildGateway({
      cluster,
      token: config.token,
      allowedHosts: config.allowedHosts
        .split(",")
        .map((name) => name.trim())
        .filter(Boolean),
      logger: pino({ name: "gateway", level: config.logLevel }, pino.destination({ fd: 2, sync: true })),
      graphBytesMax: config.graphMibMax * mebibyte,
      uploadBytesMax: config.uploadMibMax * mebibyte,
      uploadsMax: config.uploadsMax,
      inFlightMax: config.inFlightMax,
      streamsMax: config.streamsMax,
      answersMax: config.answersMax,
      answerBytesMax: config.answerMibMax * mebibyte,
      requestTimeoutMs: config.requestTimeoutMs,
      decodeTimeoutMs: config.decodeTimeoutMs,
      ...(tls ? { tls } : {}),
    });
    const url = await app.listen({
      host: config.host,
      port: config.port,
      listenTextResolver: (address) => `gateway listens on ${address}`,
    });
    return {
      url,
      stop: async () => {
        await app.close();
        await cluster.close();
      },
    };
  } catch (error) {
    await cluster.close();
    throw error;
  }
}
