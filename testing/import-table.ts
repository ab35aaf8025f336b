/** Which folder may import which: the table under "Where things are" in docs/ARCHITECTURE.md, and cycles. */
import { type Import, isTest, read } from "./source-tree.js";

/** Rows of the table under "Where things are": folders, and what they may import. */
function readTable(): Map<string, { allowed: string[]; all: boolean; pure: boolean }> {
  const rows = new Map<string, { allowed: string[]; all: boolean; pure: boolean }>();
  for (const line of read("docs/ARCHITECTURE.md").split("\n")) {
    const cells = line.split("|").map((cell) => cell.trim());
    if (cells.length !== 5 || !/^`[a-z0-9/-]+\/`/.test(cells[1] as string)) continue;
    const names = (cell: string): string[] =>
      [...cell.matchAll(/`([a-z0-9/*-]+?)\/?`/g)].map((match) => match[1] as string);
    const may = cells[3] as string;
    for (const folder of names(cells[1] as string))
      rows.set(folder, { allowed: names(may), all: may === "all", pure: may.includes("pure files only") });
  }
  return rows;
}
export const table = readTable();

export const zoneOf = (file: string): string | undefined =>
  [...table.keys()].filter((zone) => file.startsWith(`${zone}/`)).sort((a, b) => b.length - a.length)[0];

export function mayImport(edge: Import): boolean {
  const { from, to } = edge;
  const zone = zoneOf(from);
  const target = zoneOf(to);
  const rule = zone === undefined ? undefined : table.get(zone);
  if (rule === undefined || target === undefined) return false;
  if (zone === target || rule.all) return true;
  // A test may start a real server, and may test with whatever its own folder is allowed to see or is seen by.
  if (
    isTest(from) &&
    (target === "cluster/local" || target === "proto/transport" || target === "proto/durable" || target === "sim")
  )
    return true;
  // User code of tests imports the package, as users' does.
  if (from.includes("/testing/") && target === "client") return true;
  return rule.allowed.some((name) =>
    name.endsWith("/*")
      ? target.startsWith(name.slice(0, -1))
      : target === name || (name === "proto" && !rule.pure && target.startsWith("proto/")),
  );
}

/** Strongly connected files over the given edges, each as a sorted list. */
export function cycles(edges: readonly Import[]): string[][] {
  const next = new Map<string, string[]>();
  for (const edge of edges) next.set(edge.from, [...(next.get(edge.from) ?? []), edge.to]);
  const reach = (start: string): Set<string> => {
    const seen = new Set<string>();
    const todo = [...(next.get(start) ?? [])];
    for (let file = todo.pop(); file !== undefined; file = todo.pop()) {
      if (seen.has(file)) continue;
      seen.add(file);
      todo.push(...(next.get(file) ?? []));
    }
    return seen;
  };
  const reached = new Map([...next.keys()].map((file) => [file, reach(file)]));
  const groups = new Map<string, string[]>();
  for (const [file, seen] of reached) {
    if (!seen.has(file)) continue;
    const group = [...seen].filter((other) => reached.get(other)?.has(file)).sort();
    groups.set(group.join(), group);
  }
  return [...groups.values()];
}
