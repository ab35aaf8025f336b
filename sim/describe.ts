/** Events and records in a few words, for the story. */
import type { Event, JournalRecord } from "../scheduler/core/events.js";

export function describe(event: Event): string {
  if (event.e === "client" || event.e === "worker")
    return `${event.e} ${JSON.stringify(event.request, (_, value: unknown) => (value instanceof Uint8Array ? `<${value.byteLength} bytes>` : value)).slice(0, 600)}`;
  return event.e;
}

export function describeRecord(record: JournalRecord): string {
  if (record.k === "commit")
    return `commit ${record.job} stage ${record.segment.stage} [${record.segment.from}, ${record.segment.to}) ${record.segment.r}${record.reused ? " reused" : ""}`;
  return "job" in record ? `${record.k} ${record.job}${record.k === "end" ? ` ${record.state}` : ""}` : record.k;
}
