/**
 * Two shortcuts through the client library's insides for large messages, worth half of the processor time per byte:
 *   - sending: the library copies a message twice before the socket sees it; here the socket gets the parts as they are
 * (writev).
 *   - receiving: the library's parser grows its buffer by doubling; here it has the announced size from the start, and
 * where nobody keeps messages, every large one lands in the same memory: fresh memory costs more than the copying.
 * The insides are not the library's promise, so everything is looked for before it is used, and without it messages
 * take the ordinary way. nats-fast-path.test.ts fails when an update of the library closes a shortcut.
 */
import { Socket } from "node:net";
import type { NatsConnection } from "@nats-io/transport-node";

/** What the parser asks of the buffer of a message that comes in several reads, and what is asked of its own here. */
interface MessageBuffer {
  readonly length: number;
  readonly capacity: number;
  bytes(options: { copy: boolean }): Uint8Array;
  write(data: Uint8Array): number;
  writeByte(byte: number): number;
  grow(bytes: number): void;
}

interface Parser {
  parse(data: Uint8Array): void;
  msgBuf: MessageBuffer | undefined;
  readonly ma: { readonly size: number } | undefined;
}

interface Protocol {
  parser: Parser;
  connected: boolean;
  outMsgs: number;
  outBytes: number;
  readonly transport: { readonly socket: Socket };
  flushPending(): void;
}

const protocolOf = (connection: NatsConnection): Partial<Protocol> | undefined =>
  (connection as NatsConnection & { protocol?: Partial<Protocol> }).protocol;

export const canWriteParts = (connection: NatsConnection): boolean => {
  const protocol = protocolOf(connection);
  return typeof protocol?.flushPending === "function" && protocol.transport?.socket instanceof Socket;
};

/**
 * Publishes head and body as one message, in order with everything published before. The socket reads `body` until a
 * later flush has resolved. False: the shortcut is closed (or the connection is); nothing was sent.
 */
export function writeParts(connection: NatsConnection, subject: string, head: Uint8Array, body: Uint8Array): boolean {
  const protocol = protocolOf(connection);
  const socket = protocol?.transport?.socket;
  if (
    protocol?.connected !== true ||
    typeof protocol.flushPending !== "function" ||
    !(socket instanceof Socket) ||
    !socket.writable
  )
    return false;
  protocol.flushPending();
  const bytes = head.byteLength + body.byteLength;
  socket.cork();
  socket.write(`PUB ${subject} ${bytes}\r\n`, "latin1");
  socket.write(head);
  if (body.byteLength > 0) socket.write(body);
  socket.write("\r\n", "latin1");
  socket.uncork();
  if (typeof protocol.outMsgs === "number") protocol.outMsgs++;
  if (typeof protocol.outBytes === "number") protocol.outBytes += bytes;
  return true;
}

const isParser = (parser: unknown): parser is Parser =>
  typeof (parser as Partial<Parser> | undefined)?.parse === "function";

/** The memory of one large message at a time; what was read of the one before is gone when the next begins. */
class ReusedBuffer implements MessageBuffer {
  #memory = new Uint8Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get capacity(): number {
    return this.#memory.byteLength;
  }

  /** A message of `bytes` begins so. */
  begin(bytes: number, first: Uint8Array): void {
    if (this.#memory.byteLength < bytes) this.#memory = new Uint8Array(bytes);
    this.#length = 0;
    this.write(first);
  }

  bytes(): Uint8Array {
    return this.#memory.subarray(0, this.#length);
  }

  write(data: Uint8Array): number {
    this.#memory.set(data, this.#length);
    this.#length += data.byteLength;
    return data.byteLength;
  }

  writeByte(byte: number): number {
    return this.write(Uint8Array.of(byte));
  }

  grow(): void {
    // It has the message's size from the beginning.
  }
}

/** Gives this parser's message buffer its final size at once. */
function presize(parser: Parser, reused: ReusedBuffer | undefined): void {
  const parse = parser.parse.bind(parser);
  parser.parse = (data) => {
    parse(data);
    const buffer = parser.msgBuf;
    const size = parser.ma?.size ?? 0;
    if (buffer === undefined || buffer === reused || buffer.capacity >= size || typeof buffer.grow !== "function")
      return;
    if (!reused) {
      buffer.grow(size - buffer.length);
      return;
    }
    reused.begin(size, buffer.bytes({ copy: false }));
    parser.msgBuf = reused;
  };
}

/**
 * The library makes a new parser for every connection it dials, so the property is watched. `reuse`: whoever is given a
 * message does not keep it. False: the shortcut is closed.
 */
export function presizeBuffers(connection: NatsConnection, reuse: boolean): boolean {
  const protocol = protocolOf(connection);
  if (!isParser(protocol?.parser)) return false;
  const presized = (parser: Parser): void => presize(parser, reuse ? new ReusedBuffer() : undefined);
  let current = protocol.parser;
  presized(current);
  Object.defineProperty(protocol, "parser", {
    get: () => current,
    set: (next: Parser) => {
      current = next;
      if (isParser(next)) presized(next);
    },
  });
  return true;
}
