/**
 * The real core as the shell of one simulated scheduler runs it, with judges looking on: what goes in, what comes out,
 * the invariants after every step, and the replay of the journal whenever everything is written (I9).
 */
import type { Epoch } from "../proto/ids.js";
import type { Command, Event } from "../scheduler/core/events.js";
import { checkInvariants, type State } from "../scheduler/core/index.js";
import type { CorePort } from "../scheduler/shell/core-port.js";
import { corePort } from "../scheduler/shell/real-core.js";
import { describe, describeRecord } from "./describe.js";
import { GrantJudge } from "./grant-judge.js";
import { Violation } from "./job-model.js";
import type { Process } from "./process.js";
import { compareWithReplay } from "./replay-check.js";
import { SilenceJudge } from "./silence-judge.js";
import type { World } from "./world.js";

/** So small that most runs have results in blobs. */
const offload = { chunkBytes: 700, endedBytes: 300, sessionBytes: 1_200, allBytes: 6_000 };
/** Records between two comparisons of a state with the replay of its journal. */
const recordsBetweenReplays = 60;
/** Of ticks that give out nothing, and of what is heard when nothing goes on any more, one in so many is checked. */
const quietSteps = 8;

export const causeOf = (event: Event): string =>
  event.e === "client" || event.e === "worker" ? event.request.t : event.e;

export class CoreJudge {
  readonly port: CorePort<State>;
  readonly #world: World;
  readonly #process: Process;
  readonly #silence: SilenceJudge;
  readonly #grants: GrantJudge;
  #state: State | undefined;
  /** Records that steps gave out, and how many of them when state and journal were compared last. */
  #given = 0;
  #compared = 0;
  #restored = false;

  constructor(world: World, process: Process) {
    this.#world = world;
    this.#process = process;
    this.#silence = new SilenceJudge(world, process, () => this.epoch === world.epoch);
    this.#grants = new GrantJudge(world, (what) => process.emit(what));
    const real = corePort({ offload });
    this.port = {
      ...real,
      restore: (items, epoch) => {
        world.counts.restores++;
        this.#restored = true;
        return real.restore(items, epoch);
      },
      // The model's functions give the same bits everywhere, and its clients address them so.
      engineOf: () => undefined,
      step: (state, event, nowMs) => this.#step(real, state, event, nowMs),
    };
  }

  /** undefined: it does not serve yet. */
  get state(): State | undefined {
    return this.#state;
  }
  get epoch(): number {
    return this.#state?.epoch ?? 0;
  }

  #step(real: CorePort<State>, state: State, event: Event, nowMs: number): Command[] {
    const { counts } = this.#world;
    if (this.#state === undefined) this.#begin(state);
    counts.steps++;
    this.#listen(event);
    let commands: Command[];
    try {
      commands = real.step(state, event, nowMs);
      // These have hardly changed anything, and there are very many.
      const isQuiet = this.#world.resting || (event.e === "tick" && commands.length === 0);
      if (!isQuiet || counts.steps % quietSteps === 0) checkInvariants(state);
    } catch (error) {
      this.#process.emit(`fails in ${describe(event)}`);
      throw error;
    }
    this.#checkEpoch(event, commands, state);
    for (const command of commands) this.#look(command, causeOf(event), state);
    this.#atRest(state);
    return commands;
  }

  #begin(state: State): void {
    const { epoch } = state;
    this.#state = state;
    this.#world.epoch = Math.max(this.#world.epoch, epoch);
    this.#world.truth.forgetKills();
    this.#process.emit(`serves as epoch ${epoch}`);
    // Of what others wrote since, it cannot know.
    if (this.#restored && this.#world.disk.facts.epoch === epoch)
      compareWithReplay(this.#world, state, "a snapshot and the entries behind it");
  }

  #listen(event: Event): void {
    if (event.e === "worker") this.#silence.received(event.request.worker);
    else if (event.e === "client" && "client" in event.request) this.#silence.received(event.request.client);
  }

  #checkEpoch(event: Event, commands: readonly Command[], { epoch }: State): void {
    if (event.e !== "worker" || event.request.t !== "commits" || event.request.epoch >= epoch) return;
    if (commands.some((command) => command.c === "count" && command.metric === "tasks_committed"))
      throw new Violation(
        "I2",
        `a report of ${event.request.worker} from an older epoch than ${epoch} had results committed`,
      );
  }

  #look(command: Command, cause: string, state: State): void {
    switch (command.c) {
      case "record":
        this.#given++;
        this.#process.emit(`${cause} -> record ${describeRecord(command.record)}`);
        return;
      case "command":
        if (command.command.o === "cancel") this.#world.truth.cancelled(command.command.lease);
        if (command.command.o === "lease")
          this.#grants.granted(command.command.lease, command.worker, state.epoch as Epoch, state);
        return;
      case "log":
        this.#silence.onLog(command.text, command.fields ?? {}, cause);
        this.#process.emit(`${cause} -> ${command.text} ${JSON.stringify(command.fields ?? {})}`);
        return;
      default:
        return;
    }
  }

  /** Everything given out is on disk: the moment at which state and journal must agree. The epoch's own is one more. */
  #atRest(state: State): void {
    if (this.#given - this.#compared < recordsBetweenReplays) return;
    const { facts } = this.#world.disk;
    if (facts.epoch !== state.epoch || facts.records.get(state.epoch) !== this.#given + 1) return;
    this.#compared = this.#given;
    compareWithReplay(this.#world, state, "what the live steps made");
  }
}
