/**
 * The HTTP gateway: the SDK's verbs over JSON, Arrow, Parquet and CSV, and no concept of its own. This file assembles
 * it; each kind of route has its file. Every timeout is set here (Fastify's own defaults are none), and every request
 * passes the same gates in this order: bound on what is in flight, Host, token.
 */
import type { Socket } from "node:net";
import Fastify, { type FastifyBaseLogger, type FastifyReply, type FastifyRequest, LogController } from "fastify";
import { validatorCompiler } from "fastify-type-provider-zod";
import { IngestPool } from "../../data/ingest/index.js";
import { VolleyError } from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";
import type { App, Context, GatewayCluster } from "./context.js";
import { docsPage } from "./docs-page.js";
import { eventRoute } from "./event-route.js";
import { EventStreams } from "./event-streams.js";
import { bodyOf, faultOf, statusOf } from "./faults.js";
import { jobRoutes } from "./job-routes.js";
import { kernelRoutes } from "./kernel-routes.js";
import { Answers, createMetrics, Gate, watchRequests } from "./metrics.js";
import { objectRoutes } from "./object-routes.js";
import { hostCheck, tokenCheck } from "./security.js";
import { healthPaths, systemRoutes } from "./system-routes.js";

export interface GatewayOptions {
  readonly cluster: GatewayCluster;
  readonly token: string;
  /** Host names to answer for besides the loopback ones. */
  readonly allowedHosts?: readonly string[];
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  readonly logger?: FastifyBaseLogger;
  /** JSON graphs. Default 16 MiB. */
  readonly graphBytesMax?: number;
  /** Uploads. Default 64 MiB. */
  readonly uploadBytesMax?: number;
  /** Uploads at once. Default 4. */
  readonly uploadsMax?: number;
  /** Requests at once. Default 256. */
  readonly inFlightMax?: number;
  /** Event streams at once. Default 128. */
  readonly streamsMax?: number;
  /** Answers with results at once. Default 32. */
  readonly answersMax?: number;
  /** Bytes of results that all of them hold together; one larger result is given alone. Default 256 MiB. */
  readonly answerBytesMax?: number;
  /** What event streams hold for readers that do not read, all together. Default 64 MiB. */
  readonly eventBytesMax?: number;
  /** How long a reader of events may let a status wait. Default 30,000. */
  readonly stallMs?: number;
  /** For a request to arrive as a whole, and for a handler to answer. Default 30,000. */
  readonly requestTimeoutMs?: number;
  /** For one upload to be decoded. Default 60,000. */
  readonly decodeTimeoutMs?: number;
  /** Silence after which an event stream says it is still there. Default 10,000. */
  readonly heartbeatMs?: number;
  /** Age at which an event stream ends. Default one hour. */
  readonly streamMsMax?: number;
  /** Default: a pool of its own, closed with the gateway. */
  readonly pool?: IngestPool;
}

const mebibyte = 1024 * 1024;
const headerBytesMax = 16 * 1024;

export async function buildGateway(options: GatewayOptions): Promise<App> {
  const requestTimeoutMs = options.requestTimeoutMs ?? 30_000;
  const streams = new Gate(options.streamsMax ?? 128, "event streams");
  const answers = new Answers(options.answersMax ?? 32, options.answerBytesMax ?? 256 * mebibyte, requestTimeoutMs / 2);
  const events = new EventStreams({
    bytesMax: options.eventBytesMax ?? 64 * mebibyte,
    stallMs: options.stallMs ?? 30_000,
    heartbeatMs: options.heartbeatMs ?? 10_000,
    onDropped: (reason) => metrics.droppedStreams.inc({ reason }),
  });
  const metrics = createMetrics(streams, answers, () => events.waitingBytes);
  const context: Context = {
    cluster: options.cluster,
    pool: options.pool ?? new IngestPool(),
    metrics,
    uploads: new Gate(options.uploadsMax ?? 4, "uploads"),
    streams,
    answers,
    events,
    graphBytesMax: options.graphBytesMax ?? 16 * mebibyte,
    uploadBytesMax: Math.min(options.uploadBytesMax ?? 64 * mebibyte, limits.durableObjectBytesMax),
    decodeTimeoutMs: options.decodeTimeoutMs ?? 60_000,
    streamMsMax: options.streamMsMax ?? 3_600_000,
  };
  const app = createApp(options, requestTimeoutMs);
  app.setValidatorCompiler(validatorCompiler);
  // Response schemas describe; answers come from typed code and are not checked a second time.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  installGates(app, options, context);
  installFaults(app);
  await docsPage(app);
  systemRoutes(app, context);
  kernelRoutes(app);
  jobRoutes(app, context);
  eventRoute(app, context);
  await app.register((scope, _options, done) => {
    objectRoutes(scope as unknown as App, context);
    done();
  });
  if (!options.pool) app.addHook("onClose", async () => context.pool.close());
  context.pool.warm();
  await app.ready();
  return app;
}

function createApp(options: GatewayOptions, requestTimeoutMs: number): App {
  const server = {
    maxHeaderSize: headerBytesMax,
    headersTimeout: Math.min(requestTimeoutMs, 15_000),
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: 1_000,
  };
  const app = Fastify({
    ...(options.logger ? { loggerInstance: options.logger } : { logger: false }),
    ...(options.tls ? { https: { ...options.tls, ...server } } : { http: server }),
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: requestTimeoutMs,
    // A socket on which nothing moves; event streams are kept alive by their heartbeats.
    connectionTimeout: Math.max(2 * requestTimeoutMs, 60_000),
    handlerTimeout: requestTimeoutMs,
    keepAliveTimeout: 10_000,
    maxRequestsPerSocket: 10_000,
    bodyLimit: mebibyte,
    routerOptions: { maxParamLength: 256 },
    forceCloseConnections: true,
    // Addresses that cannot be read (%ff) fail before there is a route.
    frameworkErrors: (error: Error, _request: FastifyRequest, reply: FastifyReply): void => {
      const fault = faultOf(error);
      reply.code(statusOf(fault)).send(bodyOf(fault));
    },
    clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket): void => {
      if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy();
      const [status, fault] = clientFault(error.code ?? "");
      const body = JSON.stringify(bodyOf(fault));
      socket.end(
        `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
    },
  } as never);
  return app as unknown as App;
}

/** What Node's HTTP parser refuses before there is a request. */
function clientFault(code: string): [string, VolleyError] {
  if (code === "HPE_HEADER_OVERFLOW")
    return [
      "431 Request Header Fields Too Large",
      new VolleyError("TOO_LARGE", `the headers are over the limit of ${headerBytesMax} bytes`),
    ];
  if (code === "ERR_HTTP_REQUEST_TIMEOUT")
    return ["408 Request Timeout", new VolleyError("TIMEOUT", "the request did not arrive in time")];
  return ["400 Bad Request", new VolleyError("INVALID_ARGUMENT", "this is not an HTTP request")];
}

const isHealth = (request: FastifyRequest): boolean => healthPaths.includes(request.url.split("?")[0] as string);
const isDocs = (request: FastifyRequest): boolean =>
  request.url === "/openapi.json" || /^\/docs(?:[/?]|$)/.test(request.url);

function installGates(app: App, options: GatewayOptions, { metrics }: Context): void {
  const checkHost = hostCheck(options.allowedHosts ?? []);
  const checkToken = tokenCheck(options.token);
  watchRequests(app as never, metrics, options.inFlightMax ?? 256, isHealth);
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-content-type-options", "nosniff").header("cache-control", "no-store");
    checkHost(request.headers.host);
    if (isHealth(request)) return;
    try {
      checkToken(request.headers.authorization, isDocs(request));
    } catch (error) {
      reply.header(
        "www-authenticate",
        isDocs(request) ? 'Basic realm="volley", charset="UTF-8"' : 'Bearer realm="volley"',
      );
      throw error;
    }
  });
}

function installFaults(app: App): void {
  const patterns: { expression: RegExp; method: string }[] = [];
  app.addHook("onRoute", (route) => {
    const expression = new RegExp(
      `^${route.url
        .replace(/[.]/g, "\\.")
        .replace(/:[^/]+/g, "[^/]+")
        .replace(/\*/g, ".*")}$`,
    );
    for (const method of [route.method].flat()) patterns.push({ expression, method });
  });
  app.setErrorHandler((error, request, reply) => {
    const fault = faultOf(error);
    if (fault.code === "INTERNAL") request.log.error({ err: error, url: request.url }, "request failed");
    if (reply.sent) return;
    // Closing with unread bytes in the socket resets the connection, and the client loses this answer; Node reads the
    // rest away instead, for as long as requestTimeout allows.
    if (fault.code === "TOO_LARGE") reply.removeHeader("connection");
    return reply.code(statusOf(fault)).type("application/json; charset=utf-8").send(bodyOf(fault));
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split("?")[0] as string;
    const methods = [
      ...new Set(patterns.filter(({ expression }) => expression.test(path)).map(({ method }) => method)),
    ];
    if (methods.length > 0) {
      reply.header("allow", methods.join(", "));
      throw new VolleyError("METHOD_NOT_ALLOWED", `${path} answers ${methods.join(", ")}, not ${request.method}`, {
        details: { allow: methods },
      });
    }
    throw new VolleyError("ROUTE_NOT_FOUND", `there is nothing at ${path}; see /docs`);
  });
}
