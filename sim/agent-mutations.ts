/** Mutations of the worker's agent: its leases, inputs, objects and store. */
import type { Edit, Mutation } from "./mutation.js";

const agent = (file: string, find: string, put: string): Edit => ({ file: `worker/shell/${file}.js`, find, put });
const deaths = { workerCrashMs: 1_500 };
const liars = { ...deaths, badWork: 0.5 };
/** Stores that hold a few objects, so that copies have to go. */
const tight = { ...deaths, ballastBytes: 56 * 1024 };

export const agentMutants: Readonly<Record<string, Mutation>> = {
  "durable-result-not-kept": {
    doc: "a large result of a durable job is told before it is in the durable store, and never put there",
    area: "agent",
    edits: [agent("lease-run", "if (durable) await this.#keep(objectBlobName(id, digest), data, sha256);", "")],
  },
  "end-told-before-results": {
    doc: "a lease is said to be over while its large results are on their way into the stores",
    area: "agent",
    edits: [agent("lease-run", ".then(() => Promise.all(this.#storing))", "")],
  },
  "lost-input-taken-for-a-fault": {
    doc: "a lease whose input cannot be had now fails, and is not given back",
    area: "agent",
    edits: [
      agent(
        "lease-run",
        "giveBack: !definite.has(wire.code) && wire.details?.neededBytes === undefined",
        "giveBack: false",
      ),
    ],
    faults: deaths,
  },
  "any-content-taken": {
    doc: "an input is taken from the own store whatever its content",
    area: "agent",
    edits: [
      agent(
        "objects",
        "if (location?.digest && this.#options.store.has(id, location.digest)) return await this.#pinned(id, location.digest);",
        "if (this.#options.store.has(id)) return await this.#pinned(id, undefined);",
      ),
    ],
    faults: { ...liars, schedulerCrashMs: 2_000 },
  },
  "limit-answered-as-asked": {
    doc: "a lease that is cut short says that it stops where it was asked to, though more has begun",
    area: "agent",
    edits: [agent("lease-run", "return this.#run?.limit(to);", "this.#run?.limit(to); return this.#run && to;")],
    faults: { slowWork: 0.6 },
  },
  "dropped-copy-not-told": {
    doc: "the scheduler is not told of a copy that went to make room",
    area: "agent",
    edits: [
      agent(
        "assembly",
        'onDropped: (id) => hooks.emit({ e: "objects", added: [], removed: [id] })',
        "onDropped: () => {}",
      ),
    ],
    faults: tight,
  },
  "inputs-not-pinned": {
    doc: "a lease's inputs may go while it runs",
    area: "agent",
    edits: [agent("inputs", "context.hold(found);", "found.release();")],
    faults: tight,
  },
  "lists-outlive-their-jobs": {
    doc: "the results of a stage are kept under a name that a later job has, too",
    area: "agent",
    edits: [agent("inputs", '(id.startsWith("c") ? id : `$' + "{id}@$" + "{lease.since ?? 0}`)", "(id)")],
    faults: { restlessWork: 0.8 },
  },
  "missing-object-not-told": {
    doc: "a worker that is asked for an object it does not have tells nobody but the asker",
    area: "agent",
    edits: [
      agent(
        "peer-objects",
        'this.#emit({ e: "objects", added: held ? [{ id, ...held }] : [], removed: held ? [] : [id] });',
        "",
      ),
    ],
    faults: deaths,
  },
  "unready-lease-forgotten": {
    doc: "a lease that could not be prepared is never spoken of again",
    area: "agent",
    edits: [agent("lease-run", "if (this.#released) return; const wire", "return; const wire")],
    faults: deaths,
  },
};
