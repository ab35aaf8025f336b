/** The connections of one client: control, frames and the durable store, the latter two made at first need. */
import type { ClientStores } from "../../proto/durable/durable.js";
import type { Transport } from "../../proto/transport/transport.js";
import type { KeepAliveHandle, KeepAliveMessages } from "./keep-alive.js";

export interface Backend {
  readonly url: string;
  readonly control: Transport;
  /** A connection of its own, so that a large frame does not delay heartbeats. */
  frames(): Promise<Transport>;
  durable(): Promise<ClientStores>;
  /**
   * Says for the session that its process lives, whatever the event loop does. Absent where there is no other thread to
   * do it.
   */
  keepAlive?(messages: KeepAliveMessages): KeepAliveHandle;
  close(): Promise<void>;
}
