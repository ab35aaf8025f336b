/** Commands to workers, each to one process and to no other of its name (M7). */
import type { Instance, WorkerId } from "../../proto/ids.js";
import type { SchedulerCommand } from "../../proto/messages/worker.js";
import type { ReplyToken } from "./events.js";
import type { Context } from "./state.js";

/** A worker's record, or whoever has just spoken. */
export interface Addressee {
  readonly id: WorkerId;
  readonly instance: Instance | undefined;
}

export function sendCommand(
  ctx: Context,
  to: Addressee,
  what: SchedulerCommand,
  options: { gated?: boolean; reply?: ReplyToken | undefined; patient?: boolean } = {},
): void {
  const { id: worker, instance } = to;
  ctx.out.push({
    c: "command",
    worker,
    instance,
    command: what,
    gated: options.gated ?? false,
    ...(options.reply === undefined ? {} : { reply: options.reply }),
    ...(options.patient ? { patient: true } : {}),
  });
}

/** The sender of a message, for an answer to it. */
export const sender = (message: {
  readonly worker: WorkerId;
  readonly instance?: Instance | undefined;
}): Addressee => ({
  id: message.worker,
  instance: message.instance,
});
