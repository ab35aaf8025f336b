/**
 * One end of a bare transfer: a connection of nats.js as it comes, in a process of its own. Sends chunks of the size of
 * Volley's frames under a window of credit, and takes such into memory it has just allocated. No object store, no
 * checksum, no digest: what NATS itself can carry.
 */
import { connect } from "@nats-io/transport-node";
import { limits } from "../../proto/limits.js";

export type BareCommand =
  /** Makes a payload to send. */
  | { readonly t: "fill"; readonly bytes: number }
  /** Sends it; answered, with the seconds, when the other end says that it has all of it. */
  | { readonly t: "put"; readonly bytes: number }
  /** Has the other end send its payload; answered, with the seconds, when all of it is here. */
  | { readonly t: "get"; readonly bytes: number };

export interface BareAnswer {
  readonly seconds: number;
}

const [url, own, other] = process.argv.slice(2) as [string, string, string];
const chunkBytes = limits.frameBytes;
const { windowBytes } = limits;
const connection = await connect({ servers: url, noAsyncTraces: true, ...userOf(url) });

function userOf(address: string): { user: string; pass: string } {
  const { username, password } = new URL(address);
  return { user: decodeURIComponent(username), pass: decodeURIComponent(password) };
}

let payload = new Uint8Array(0);
let sent = 0;
let onConfirmed: (() => void) | undefined;
let target: Uint8Array | undefined;
let received = 0;
let granted = 0;
let onFilled: (() => void) | undefined;

const numberOf = (data: Uint8Array): number => Number(Buffer.from(data).toString());

function sendUpTo(credit: number): void {
  while (sent < Math.min(credit, payload.byteLength)) {
    const chunk = payload.subarray(sent, sent + chunkBytes);
    connection.publish(`bare.${other}.data`, chunk);
    sent += chunk.byteLength;
  }
}

function take(chunk: Uint8Array): void {
  if (!target) return;
  target.set(chunk, received);
  received += chunk.byteLength;
  if (received === target.byteLength) {
    connection.publish(`bare.${other}.have`);
    onFilled?.();
  } else if (received + windowBytes - granted >= windowBytes / 4) grant();
}

function grant(): void {
  granted = received + windowBytes;
  connection.publish(`bare.${other}.credit`, String(granted));
}

/** The other end is about to send so many bytes. */
function expect(bytes: number): void {
  target = new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
  received = 0;
  grant();
}

connection.subscribe(`bare.${own}.data`, { callback: (_error, { data }) => take(data) });
connection.subscribe(`bare.${own}.credit`, { callback: (_error, { data }) => sendUpTo(numberOf(data)) });
connection.subscribe(`bare.${own}.have`, { callback: () => onConfirmed?.() });
connection.subscribe(`bare.${own}.offer`, { callback: (_error, { data }) => expect(numberOf(data)) });
connection.subscribe(`bare.${own}.wish`, {
  callback: () => {
    sent = 0;
  },
});
await connection.flush();

const filled = (): Promise<void> =>
  new Promise((resolve) => {
    onFilled = resolve;
  });
const confirmed = (): Promise<void> =>
  new Promise((resolve) => {
    onConfirmed = resolve;
  });

async function carryOut(command: BareCommand): Promise<void> {
  if (command.t === "fill") {
    payload = new Uint8Array(command.bytes).fill(7);
    return;
  }
  if (command.t === "put") {
    sent = 0;
    connection.publish(`bare.${other}.offer`, String(command.bytes));
    await confirmed();
    return;
  }
  connection.publish(`bare.${other}.wish`);
  const done = filled();
  expect(command.bytes);
  await done;
}

process.on("message", (command: BareCommand) => {
  const start = performance.now();
  void carryOut(command).then(() => {
    target = undefined;
    process.send?.({ seconds: (performance.now() - start) / 1_000 } satisfies BareAnswer);
  });
});
process.on("disconnect", () => process.exit());
process.send?.({ seconds: 0 } satisfies BareAnswer);
