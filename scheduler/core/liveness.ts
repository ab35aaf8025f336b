/**
 * Silence is measured in listening time: the time in which this scheduler would have heard, had anybody spoken. The
 * shell says with every tick how much of it has passed (shell/listening-time.ts); while the process was stopped, its
 * loop blocked, or NATS away, none has.
 *
 * L1 Silence is judged in ticks alone: listening time counts only when what had arrived in it has been handled.
 * L2 While nobody at all is heard, nobody is judged: that is how it looks when we are the one who is cut off. When
 * somebody is heard again, the time
 *    before is taken back, so that the others have theirs.
 */
import { limits } from "../../proto/limits.js";
import type { Peer } from "./peer.js";
import type { State } from "./state.js";

/** Nobody heard for so long: it may be us. Above two heartbeats, below the timeout. */
const hushMs = 2.5 * limits.heartbeatIntervalMs;
/** Of a hush this much counts, so that one peer that speaks seldom does not hide the death of the others. */
const hushCountedMsMax = limits.heartbeatIntervalMs;

/**
 * A tick: so much time has passed in which peers would have been heard. Without the shell's word, all since the last
 * tick.
 */
export function listen(state: State, listenedMs: number = state.nowMs - state.tickedMs): void {
  state.tickedMs = state.nowMs;
  state.listenedMs += listenedMs;
}

/** Anybody has said anything. */
export function receivedAny(state: State): void {
  if (isHush(state)) state.listenedMs = state.receivedAnyAt + hushCountedMsMax;
  state.receivedAnyAt = state.listenedMs;
}

export function received(state: State, peer: Peer): void {
  peer.receivedMs = state.nowMs;
  peer.receivedAt = state.listenedMs;
}

export const isHush = (state: State): boolean => state.listenedMs - state.receivedAnyAt > hushMs;

/** How long the peer could have been heard and was not. */
export const silenceMs = (state: State, peer: Peer): number => state.listenedMs - peer.receivedAt;
