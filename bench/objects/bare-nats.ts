/** What two bare NATS connections carry, for comparison: one process each, as client and worker have. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { BareAnswer, BareCommand } from "./bare-nats-child.js";

export interface BareNats {
  /** GB/s from one end to the other, and back. */
  putAndGet(bytes: number): Promise<{ put: number; get: number }>;
  stop(): void;
}

/** `url`: of a user that may use every subject. */
export async function startBareNats(url: string): Promise<BareNats> {
  const [client, worker] = await Promise.all([startEnd(url, "client", "worker"), startEnd(url, "worker", "client")]);
  return {
    async putAndGet(bytes) {
      await Promise.all([ask(client, { t: "fill", bytes }), ask(worker, { t: "fill", bytes })]);
      const put = await ask(client, { t: "put", bytes });
      const get = await ask(client, { t: "get", bytes });
      await Promise.all([ask(client, { t: "fill", bytes: 0 }), ask(worker, { t: "fill", bytes: 0 })]);
      return { put: bytes / 1e9 / put.seconds, get: bytes / 1e9 / get.seconds };
    },
    stop() {
      for (const child of [client, worker]) child.disconnect();
    },
  };
}

async function startEnd(url: string, own: string, other: string): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL("./bare-nats-child.js", import.meta.url)), [url, own, other]);
  await answerOf(child);
  return child;
}

function ask(child: ChildProcess, command: BareCommand): Promise<BareAnswer> {
  const answer = answerOf(child);
  child.send(command);
  return answer;
}

const answerOf = (child: ChildProcess): Promise<BareAnswer> =>
  new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`an end of the bare transfer ended with ${code}`));
    child.once("exit", onExit);
    child.once("message", (answer) => {
      child.off("exit", onExit);
      resolve(answer as BareAnswer);
    });
  });
