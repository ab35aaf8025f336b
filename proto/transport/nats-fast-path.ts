/**
 * Two shortcuts through the client library's insides for large messages, worth half of the processor time per byte:
 *   - sending: the library copies a message twice before the socket sees it; here the socket gets the parts as they are
 * (writev).
 *   - receiving: the library's parser grows its buffer by doubling; here it has the announced size from the start.
 * The insides are not the library's promise, so everything is looked for before it is used, and without it messages
 * take the ordinary way. nats-fast-path.test.ts fails when an update of the library closes a shortcut.
 */
import { Socket } from "node:net";
import type { NatsConnection } from "@nats-io/transport-node";

interface GrowingBuffer {
  readonly capacity: number;
  grow(bytes: number): void;
}

interface Parser {
  parse(data: Uint8Array): void;
  readonly msgBuf: GrowingBuffer | undefined;
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

/** Gives this parser's message buffer its final size at once. */
function presize(parser: Parser): void {
  const parse = parser.parse.bind(parser);
  parser.parse = (data) => {
    parse(data);
    const buffer = parser.msgBuf;
    const size = parser.ma?.size ?? 0;
    if (buffer !== undefined && buffer.capacity < size && typeof buffer.grow === "function")
      buffer.grow(size - bufferLength(buffer));
  };
}

const bufferLength = (buffer: GrowingBuffer): number => (buffer as GrowingBuffer & { readonly length: number }).length;

/**
 * The library makes a new parser for every connection it dials, so the property is watched. False: the shortcut is
 * closed.
 */
export function presizeBuffers(connection: NatsConnection): boolean {
  const protocol = protocolOf(connection);
  if (!isParser(protocol?.parser)) return false;
  let current = protocol.parser;
  presize(current);
  Object.defineProperty(protocol, "parser", {
    get: () => current,
    set: (next: Parser) => {
      current = next;
      if (isParser(next)) presize(next);
    },
  });
  return true;
}
