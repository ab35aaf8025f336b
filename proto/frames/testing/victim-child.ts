/** A process for peer.test.ts: takes some frames of stream "aa", then is killed as by a crash. */

import { connectNats } from "../../transport/nats.js";
import { FramePeer } from "../peer.js";

const transport = await connectNats({ url: process.argv[2] as string, name: "victim" });
let frameCount = 0;
const frames = new FramePeer({
  transport,
  peer: "victim",
  onFrame(direction) {
    if (direction === "in" && ++frameCount === 5) process.kill(process.pid, "SIGKILL");
  },
});
frames.open({ bytes: 64 * 1024 * 1024, target: new Uint8Array(64 * 1024 * 1024), stream: "aa" });
await transport.flush();
process.send?.("ready");
