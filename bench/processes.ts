/** What Linux says of a process: its processor time, its memory, and the bytes it has read and written. */
import { readFile } from "node:fs/promises";

/** USER_HZ, fixed on every Linux that Node runs on. */
const ticksPerSecond = 100;

async function read(path: string): Promise<string> {
  return readFile(path, "latin1");
}

/** User and system time since the start, seconds (resolution 10 ms). */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

export async function rssBytes(pid: number): Promise<number> {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(await read(`/proc/${pid}/status`));
  return Number(match?.[1] ?? Number.NaN) * 1024;
}

/** Bytes that went through read calls, sockets included. */
export async function readBytes(pid: number): Promise<number> {
  return Number(/^rchar: (\d+)$/m.exec(await read(`/proc/${pid}/io`))?.[1] ?? Number.NaN);
}

/** Watches a process' memory until stopped; gives the highest value seen. */
export function watchRss(pid: number, intervalMs = 20): { stop(): Promise<number> } {
  let highest = 0;
  const look = async (): Promise<void> => {
    highest = Math.max(highest, await rssBytes(pid).catch(() => 0));
  };
  const timer = setInterval(() => void look(), intervalMs);
  return {
    async stop() {
      clearInterval(timer);
      await look();
      return highest;
    },
  };
}
