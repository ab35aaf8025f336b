/** The gateway's own metrics, and the bounds on what it does at once. */
import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { VolleyError } from "../../proto/errors.js";
import { ByteBudget, Hold } from "./held-bytes.js";

export interface GatewayMetrics {
  readonly registry: Registry;
  readonly duration: Histogram<"method" | "route" | "status">;
  readonly inFlight: Gauge;
  readonly receivedBytes: Counter<"route">;
  readonly sentBytes: Counter<"route">;
  readonly rejected: Counter<"format" | "code">;
  readonly droppedStreams: Counter<"reason">;
}

export function createMetrics(streams: Gate, answers: Answers, eventBytes: () => number): GatewayMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  new Gauge({
    name: "volley_gateway_event_streams",
    help: "Open streams of server-sent events.",
    registers,
    collect() {
      this.set(streams.open);
    },
  });
  new Gauge({
    name: "volley_gateway_event_bytes",
    help: "Bytes of events that their readers have not taken.",
    registers,
    collect() {
      this.set(eventBytes());
    },
  });
  new Gauge({
    name: "volley_gateway_held_bytes",
    help: "Bytes of results that answers hold in memory, or have been admitted to fetch.",
    registers,
    collect() {
      this.set(answers.budget.held);
    },
  });
  return {
    registry,
    duration: new Histogram({
      name: "volley_gateway_http_request_duration_seconds",
      help: "Time from a request's header to the end of its response.",
      labelNames: ["method", "route", "status"],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120],
      registers,
    }),
    inFlight: new Gauge({
      name: "volley_gateway_http_requests_in_flight",
      help: "Requests that have not been answered yet, event streams excluded.",
      registers,
    }),
    receivedBytes: new Counter({
      name: "volley_gateway_http_received_bytes_total",
      help: "Bytes of request bodies, as announced.",
      labelNames: ["route"],
      registers,
    }),
    sentBytes: new Counter({
      name: "volley_gateway_http_sent_bytes_total",
      help: "Bytes written to sockets while answering, headers included.",
      labelNames: ["route"],
      registers,
    }),
    droppedStreams: new Counter({
      name: "volley_gateway_event_streams_dropped_total",
      help: "Event streams that were cut off: stalled (their reader did not read), memory (all of them together held too much).",
      labelNames: ["reason"],
      registers,
    }),
    rejected: new Counter({
      name: "volley_gateway_decode_rejections_total",
      help: "Uploads that were not decoded, by format and error code.",
      labelNames: ["format", "code"],
      registers,
    }),
  };
}

/** The pattern of the route, never the address: addresses are without number. */
const routeOf = (request: FastifyRequest): string => request.routeOptions.url ?? "(none)";

const answered = new WeakMap<ServerResponse, () => void>();

/** An event stream has been answered when it begins; from then on it is bounded as a stream. */
export function countAsAnswered(reply: FastifyReply): void {
  answered.get(reply.raw)?.();
}

/** Measures every request and refuses those past `inFlightMax` with RATE_LIMITED; health is always answered. */
export function watchRequests(
  app: FastifyInstance,
  metrics: GatewayMetrics,
  inFlightMax: number,
  isHealth: (request: FastifyRequest) => boolean,
): void {
  let inFlight = 0;
  app.addHook("onRequest", async (request, reply) => {
    const started = process.hrtime.bigint();
    const writtenBefore = request.socket.bytesWritten ?? 0;
    inFlight++;
    metrics.inFlight.set(inFlight);
    let over = false;
    const finish = (): void => {
      if (over) return;
      over = true;
      inFlight--;
      metrics.inFlight.set(inFlight);
      const route = routeOf(request);
      metrics.duration.observe(
        { method: request.method, route, status: reply.raw.statusCode },
        Number(process.hrtime.bigint() - started) / 1e9,
      );
      metrics.sentBytes.inc({ route }, Math.max(0, (request.socket.bytesWritten ?? 0) - writtenBefore));
      const announced = Number(request.headers["content-length"] ?? 0);
      if (announced > 0) metrics.receivedBytes.inc({ route }, announced);
    };
    // An aborted request never "finishes"; its response closes.
    answered.set(reply.raw, finish);
    reply.raw.once("finish", finish);
    reply.raw.once("close", finish);
    if (inFlight > inFlightMax && !isHealth(request))
      refuseBusy(reply, `${inFlightMax} requests are being answered already`);
  });
}

function refuseBusy(reply: FastifyReply, why: string): never {
  reply.header("retry-after", "1");
  throw new VolleyError("RATE_LIMITED", `${why}; try again in a second`);
}

/** Admits at most `max` at once: for what costs memory (uploads) or stays open (event streams). */
export class Gate {
  readonly #max: number;
  readonly #what: string;
  #open = 0;

  constructor(max: number, what: string) {
    this.#max = max;
    this.#what = what;
  }
  get open(): number {
    return this.#open;
  }
  /** Takes a place until the response ends; RATE_LIMITED if there is none. */
  enter(reply: FastifyReply): void {
    if (this.#open >= this.#max) refuseBusy(reply, `${this.#max} ${this.#what} are open already`);
    this.#open++;
    reply.raw.once("close", () => {
      this.#open--;
    });
  }
}

/** Answers that hold results: so many at once, and so many bytes of them together. */
export class Answers {
  readonly #gate: Gate;
  readonly #patienceMs: number;
  readonly budget: ByteBudget;

  constructor(max: number, bytesMax: number, patienceMs: number) {
    this.#gate = new Gate(max, "answers with results");
    this.budget = new ByteBudget(bytesMax);
    this.#patienceMs = patienceMs;
  }

  /** Until the response ends; RATE_LIMITED if there are too many. */
  enter(reply: FastifyReply): Hold {
    this.#gate.enter(reply);
    const hold = new Hold(this.budget, this.#patienceMs);
    reply.raw.once("close", () => hold.close());
    return hold;
  }
}
