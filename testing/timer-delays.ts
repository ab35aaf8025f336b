/** Delays of timers, as written. */
import { stripComments } from "./source-tree.js";

/**
 * The delays given to Node's timers that are neither a figure, nor a constant of the file that is one, nor have an
 * upper bound.
 */
export function unboundedDelays(source: string): string[] {
  const text = stripComments(source);
  const constants = new Set(
    [...text.matchAll(/^(?:export )?const (\w+) = [\d_]+;/gm)].map((match) => match[1] as string),
  );
  const bounded = (delay: string): boolean =>
    /^[\d_]+$/.test(delay) || constants.has(delay) || /^Math\.min\(.*(?:[\d_]+|2 \*\* 30)\)$/.test(delay);
  const promised = /import \{[^}]*\bsetTimeout(?: as (\w+))?[^}]*\} from "node:timers\/promises"/.exec(text);
  const names = [
    "(?<![.\\w])setTimeout",
    "AbortSignal\\.timeout",
    ...(promised ? [`(?<![.\\w])${promised[1] ?? "setTimeout"}`] : []),
  ];
  const found: string[] = [];
  for (const match of text.matchAll(new RegExp(`(?:${names.join("|")})\\(`, "g"))) {
    const args = argumentsAt(text, match.index + match[0].length);
    // Node's own takes what to do first; what sleeps takes the delay first.
    const delay = match[0] === "setTimeout(" ? args[1] : args[0];
    if (delay === undefined || !bounded(delay)) found.push(delay ?? "nothing");
  }
  return found;
}

/** The arguments of a call, as written, from behind its bracket on. */
function argumentsAt(text: string, from: number): string[] {
  const args: string[] = [];
  let depth = 0;
  let start = from;
  for (let at = from; at < text.length; at++) {
    const char = text[at] as string;
    if ("([{".includes(char)) depth++;
    if (char === "," && depth === 0) {
      args.push(text.slice(start, at).trim());
      start = at + 1;
    }
    if (!")]}".includes(char)) continue;
    if (depth === 0) {
      args.push(text.slice(start, at).trim());
      return args.filter((arg) => arg !== "");
    }
    depth--;
  }
  return args;
}
