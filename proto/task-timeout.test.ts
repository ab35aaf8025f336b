import { expect, test } from "vitest";
import { taskTimeoutMs } from "./task-timeout.js";

test("weeks and months are legal", () => {
  for (const days of [1, 8, 30, 366]) expect(taskTimeoutMs.parse(days * 86_400_000)).toBe(days * 86_400_000);
});

test("what is not is told with what is, and with what holds for a task that sets none", () => {
  for (const bad of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 367 * 86_400_000, "5"])
    expect(taskTimeoutMs.safeParse(bad).error?.issues[0]?.message, String(bad)).toBe(
      "expected whole milliseconds from 1 to 31622400000 (366 days); a task that sets none has 3600000 (an hour)",
    );
});
