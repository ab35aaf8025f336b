/** A client's way to ask: repeat until answered, hear nobody who speaks for an older epoch (M6). */
import { decodeMessage } from "../proto/codec.js";
import { type ClientReply, type ClientRequest, clientReply } from "../proto/messages/client.js";
import { subjects } from "../proto/subjects.js";
import type { Process } from "./process.js";
import type { Random } from "./random.js";
import type { World } from "./world.js";

const repeatMs = 400;

export class Asker {
  readonly #process: Process;
  epoch = 0;
  readonly #world: World;
  readonly #random: Random;

  constructor(world: World, random: Random, process: Process) {
    this.#world = world;
    this.#random = random;
    this.#process = process;
  }

  later(delayMs: number, run: () => void): void {
    this.#process.later(delayMs, run);
  }

  get address(): string {
    return this.#process.address;
  }

  /** True if the speaker is not outdated; remembers the newest. */
  accepts(epoch: number): boolean {
    if (epoch < this.epoch) return false;
    this.epoch = epoch;
    return true;
  }

  /** One try: the first acceptable answer is given on. */
  askOnce(request: ClientRequest, onReply: (reply: ClientReply) => void): void {
    let answered = false;
    this.#world.network.request(this.#process.address, subjects.schedulerClient, request, (data) => {
      const reply = decodeMessage(clientReply, data);
      if (answered || !this.accepts(reply.epoch)) return;
      answered = true;
      onReply(reply);
    });
  }

  /** Asks again and again until `onReply` says that it is satisfied (or wants no more). */
  ask(request: () => ClientRequest, onReply: (reply: ClientReply) => boolean): void {
    let settled = false;
    const again = (): void => {
      if (settled) return;
      this.askOnce(request(), (reply) => {
        if (!settled) settled = onReply(reply);
      });
      this.later(this.#random.delay(repeatMs), again);
    };
    again();
  }
}
