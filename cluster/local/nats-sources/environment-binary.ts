/** VOLLEY_NATS_SERVER: the user says which binary. */
import { resolve } from "node:path";
import { checkedVersion, type NatsSource } from "./source.js";

export const environmentBinary: NatsSource = {
  name: "VOLLEY_NATS_SERVER",
  provisions: false,
  async find({ env }) {
    const given = env.VOLLEY_NATS_SERVER;
    if (!given) throw new Error("not set");
    const path = resolve(given);
    return { path, version: await checkedVersion(path), source: this.name };
  },
};
