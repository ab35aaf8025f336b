/** A nats-server on the PATH, if it is new enough. */
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import { checkedVersion, type NatsSource } from "./source.js";

export const searchPath: NatsSource = {
  name: "PATH",
  provisions: false,
  async find({ env }) {
    const faults: string[] = [];
    for (const folder of (env.PATH ?? "").split(delimiter)) {
      if (!isAbsolute(folder)) continue; // "." in PATH: not for a binary that we start unasked.
      const path = join(folder, "nats-server");
      const executable = await access(path, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (!executable) continue;
      try {
        return { path, version: await checkedVersion(path), source: this.name };
      } catch (error) {
        faults.push((error as Error).message);
      }
    }
    throw new Error(faults.length > 0 ? faults.join("; ") : "no nats-server in it");
  },
};
