/**
 * Whether a scheduler was right to take somebody for lost: only time counts in which it could have heard, had anybody
 * spoken. Measured from outside, where it is known who was paused, cut off, or without a broker.
 */
import type { JobId } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import { Violation } from "./job-model.js";
import type { Process } from "./process.js";
import type { World } from "./world.js";

const lookEveryMs = 50;
/** The scheduler counts from its last tick before the message (at most a second ago), in round trips to the broker. */
const slackMs = 1_200;

export class SilenceJudge {
  readonly #world: World;
  readonly #process: Process;
  /** Time in which this scheduler could hear, up to the last look. */
  #openMs = 0;
  #lookedAtMs: number;
  /** By address: which process was heard last, and when in that time. */
  readonly #received = new Map<string, { process: Process; openMs: number }>();

  /** By address: the process that had the name before. */
  readonly #succeeded = new Map<string, Process>();
  readonly #isNewest: () => boolean;

  /** `isNewest`: a deposed scheduler does no harm by what it believes. */
  constructor(world: World, process: Process, isNewest: () => boolean) {
    this.#world = world;
    this.#isNewest = isNewest;
    this.#process = process;
    this.#lookedAtMs = world.clock.nowMs;
    this.#look();
  }

  #look(): void {
    const { clock } = this.#world;
    clock.after(this.#world.resting ? 8 * lookEveryMs : lookEveryMs, () => {
      if (this.#process.dead) return;
      this.#openMs = this.#openUntilNowMs();
      this.#lookedAtMs = clock.nowMs;
      this.#look();
    });
  }

  /** What has passed since the last look counts as what is found now. */
  #openUntilNowMs(): number {
    const { clock, network } = this.#world;
    const isOpen = !this.#process.paused && !network.isCut(this.#process.address);
    return this.#openMs + (isOpen ? clock.nowMs - this.#lookedAtMs : 0);
  }

  received(address: string): void {
    const process = this.#world.processes.get(address);
    if (!process) return;
    const before = this.#received.get(address);
    if (before && before.process !== process) this.#succeeded.set(address, before.process);
    this.#received.set(address, { process, openMs: this.#openUntilNowMs() });
  }

  onLog(text: string, fields: Readonly<Record<string, string | number>>, cause: string): void {
    if (!this.#isNewest()) return;
    if (text === "worker lost") this.#onLost(String(fields.worker), fields.how === "superseded");
    if (text === "job cancelled" && cause === "tick") this.#onClosed(String(fields.job));
  }

  /** `superseded`: another process has come under its name, which is used again only when its owner is dead. */
  #onLost(worker: string, superseded: boolean): void {
    const last = this.#received.get(worker);
    const before = this.#succeeded.get(worker);
    this.#succeeded.delete(worker);
    if (before?.dead) this.#world.truth.buried(before);
    if (!last || superseded || before?.dead) return;
    const silentMs = this.#openUntilNowMs() - last.openMs;
    if (!last.process.dead && silentMs < limits.heartbeatTimeoutMs - slackMs)
      throw new Violation("lost", `${worker} is taken for dead after ${silentMs} ms in which it could have been heard`);
    this.#world.truth.buried(last.process);
  }

  #onClosed(session: string): void {
    const client = session.replace(/^session-/, "");
    const last = this.#received.get(client);
    if (!session.startsWith("session-") || !last) return;
    const silentMs = this.#openUntilNowMs() - last.openMs;
    if (silentMs < limits.sessionTimeoutMs - slackMs)
      throw new Violation(
        "lost",
        `${session} is closed after ${silentMs} ms in which its client could have been heard`,
      );
    this.#world.lapsed.add(session as JobId);
  }
}
