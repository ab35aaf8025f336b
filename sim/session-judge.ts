/**
 * Whether a session and the scheduler agree on what the session still has. For a moment they may not, for heartbeats
 * ask and tell again; what stays so is lost, or kept for nobody.
 */
import type { State } from "../scheduler/core/index.js";
import type { SessionState } from "../session/state.js";

/** What each believes that the other does not. */
export function* disagreements(session: SessionState, state: State): IterableIterator<string> {
  const { session: id } = session.options;
  const job = state.jobs.get(id);
  if (session.phase.p !== "open" || session.restoring.run || job?.kind !== "session") return;
  const listed = new Set(session.released);
  for (const stage of job.stages.values())
    if (!stage.released && !session.stages.has(stage.index) && !listed.has(stage.index))
      yield `stage ${stage.index} of ${id}, which its client has given back, is kept`;
  for (const { name, state: at } of session.puts.values()) {
    if (at.p !== "placed" || at.again || at.awaited || !name) continue;
    const object = name.id;
    const put = state.puts.get(object);
    if (!put?.owners.has(id)) yield `${object}, which ${id} has put, is not known to be its own`;
    else if (put.presence.is === "missing") yield `${object} is gone, and ${id} does not put it again`;
  }
}
