/** The time limit of a task, wherever it is given: its error says what is allowed and what holds without one. */
import { z } from "zod";
import { limits } from "./limits.js";

const timeoutsAllowed = `expected whole milliseconds from 1 to ${limits.taskTimeoutMsMax} (366 days); a task that sets none has ${limits.taskTimeoutMsDefault} (an hour)`;
export const taskTimeoutMs = z
  .number({ error: timeoutsAllowed })
  .int({ error: timeoutsAllowed })
  .min(1, { error: timeoutsAllowed })
  .max(limits.taskTimeoutMsMax, { error: timeoutsAllowed });
