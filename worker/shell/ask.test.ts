import { expect, test } from "vitest";
import { encodeMessage } from "../../proto/codec.js";
import type { ObjectId } from "../../proto/ids.js";
import { subjects } from "../../proto/subjects.js";
import { MemoryNetwork } from "../../proto/transport/testing/memory.js";
import { ask } from "./ask.js";

test("what a scheduler of a lower epoch answers does not count: an input it says is lost may be there", async () => {
  const network = new MemoryNetwork();
  const id = `p${"0".repeat(32)}-0` as ObjectId;
  const epochs = [6, 6, 7];
  network.connect("scheduler").subscribe(subjects.schedulerQuestion, (message) => {
    const epoch = epochs.shift() as number;
    const known = epoch === 7;
    if (epochs.length === 2)
      message.respond(encodeMessage({ t: "error", epoch, error: { code: "JOB_NOT_FOUND", message: "no such job" } }));
    else
      message.respond(encodeMessage({ t: "located", epoch, locations: [{ id, state: known ? "ready" : "failed" }] }));
  });
  const { locations } = await ask(network.connect("worker"), { t: "locate", ids: [id] }, () => 7);
  expect(locations).toEqual([{ id, state: "ready" }]);
  expect(epochs).toEqual([]);
});
