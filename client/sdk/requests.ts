/** Callers' questions to the scheduler as promises. How often each is asked, and when it failed, the session says. */
import type { VolleyError } from "../../proto/errors.js";
import type { ClientId, ObjectId } from "../../proto/ids.js";
import type { ClientReply, ClientReplyOf, ClientRequest } from "../../proto/messages/client.js";
import type { ObjectLocation } from "../../proto/messages/results.js";
import type { Runtime } from "../../proto/runtime.js";
import type { SessionEvent } from "../../session/session.js";
import { Watches } from "./watches.js";

interface Waiter {
  resolve(answer: ClientReply | ObjectLocation): void;
  reject(error: VolleyError): void;
}

export class Requests {
  readonly payloadBytesMax: number;
  readonly runtime: Runtime;
  readonly client: ClientId;
  readonly watches = new Watches();
  readonly #take: (event: SessionEvent) => void;
  readonly #waiting = new Map<number, Waiter>();
  #next = 1;

  constructor(client: ClientId, payloadBytesMax: number, runtime: Runtime, take: (event: SessionEvent) => void) {
    this.client = client;
    this.payloadBytesMax = payloadBytesMax;
    this.runtime = runtime;
    this.#take = take;
  }

  /**
   * Asks until answered. Rejects with the scheduler's own error, or NO_SCHEDULER, DISCONNECTED, TIMEOUT, CLOSED,
   * TOO_LARGE.
   */
  ask<T extends ClientReply["t"]>(
    request: ClientRequest,
    expected: T,
    { timeoutMs }: { timeoutMs?: number } = {},
  ): Promise<ClientReplyOf<T>> {
    return this.#question((question) => ({ e: "asked", question, request, expected, timeoutMs }));
  }

  /** Where it is. Questions of one tick travel as one, at its flush. */
  locate(id: ObjectId): Promise<ObjectLocation> {
    return this.#question((question) => ({ e: "locate", question, id }));
  }

  #question<A>(event: (question: number) => SessionEvent): Promise<A> {
    return new Promise((resolve, reject) => {
      const question = this.#next++;
      this.#waiting.set(question, { resolve: resolve as Waiter["resolve"], reject });
      this.#take(event(question));
    });
  }

  answered(question: number, answer: ClientReply | ObjectLocation): void {
    this.#of(question)?.resolve(answer);
  }

  failed(question: number, error: VolleyError): void {
    this.#of(question)?.reject(error);
  }

  #of(question: number): Waiter | undefined {
    const waiter = this.#waiting.get(question);
    this.#waiting.delete(question);
    return waiter;
  }
}
