/** Who may ask: the bearer token, the Host header, and where the gateway may listen. */
import { createHash, timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import { VolleyError } from "../../proto/errors.js";

const hash = (text: string): Buffer => createHash("sha256").update(text).digest();

/**
 * Compares in constant time, over hashes, so that neither content nor length of the token shows in the time it takes.
 */
export function tokenCheck(token: string): (authorization: string | undefined, basicAllowed: boolean) => void {
  const expected = hash(token);
  return (authorization, basicAllowed) => {
    const given = presented(authorization, basicAllowed);
    if (given === undefined)
      throw new VolleyError("UNAUTHENTICATED", "no token: send the header `Authorization: Bearer <token>`");
    if (!timingSafeEqual(hash(given), expected))
      throw new VolleyError("UNAUTHENTICATED", "the token is not the one this gateway was started with (VOLLEY_TOKEN)");
  };
}

/** A browser that opens the documentation cannot send a bearer token; there the token is also taken as a password. */
function presented(authorization: string | undefined, basicAllowed: boolean): string | undefined {
  const match = /^(bearer|basic) +([^\s]+)$/i.exec(authorization ?? "");
  if (!match) return undefined;
  if (match[1]?.toLowerCase() === "bearer") return match[2];
  if (!basicAllowed) return undefined;
  const text = Buffer.from(match[2] as string, "base64").toString("utf8");
  return text.includes(":") ? text.slice(text.indexOf(":") + 1) : undefined;
}

const loopbackNames = new Set(["localhost", "127.0.0.1", "::1"]);

/**
 * A page of another site can make a browser call the gateway under a name that its owner points at 127.0.0.1 (DNS
 * rebinding); the Host header then carries that name. Only loopback names and the configured ones are answered.
 */
export function hostCheck(allowed: readonly string[]): (host: string | undefined) => void {
  const names = new Set([...loopbackNames, ...allowed.map((name) => name.toLowerCase())]);
  return (host) => {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:@/\s]+))(?::\d{1,5})?$/.exec(host ?? "");
    const name = (match?.[1] ?? match?.[2])?.toLowerCase();
    if (name === undefined || !names.has(name)) {
      throw new VolleyError(
        "FORBIDDEN",
        `the host ${JSON.stringify(host ?? "")} is not one this gateway answers for; add it to VOLLEY_ALLOWED_HOSTS`,
      );
    }
  };
}

export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));

/** Throws INVALID_ARGUMENT for an address that would show tokens and data to a network in clear. */
export function checkListen(host: string, options: { tls: boolean; insecure: boolean }): void {
  if (isLoopback(host) || options.tls || options.insecure) return;
  throw new VolleyError(
    "INVALID_ARGUMENT",
    `refusing to listen on ${host} without TLS: set VOLLEY_TLS_CERT and VOLLEY_TLS_KEY, listen on 127.0.0.1, or set VOLLEY_INSECURE_LISTEN=true if something in front of it encrypts`,
  );
}
