/** The connections of one client: control, frames and the durable store, the latter two made at first need. */
import type { Durable } from "../../proto/durable/durable.js";
import type { Transport } from "../../proto/transport/transport.js";

export interface Backend {
  readonly url: string;
  readonly control: Transport;
  /** A connection of its own, so that a large frame does not delay heartbeats. */
  frames(): Promise<Transport>;
  durable(): Promise<Durable>;
  close(): Promise<void>;
}
