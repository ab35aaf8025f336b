/** Journals and snapshots that the version before has written are read as they were meant. */
import { expect, test } from "vitest";
import { decodeRaw, encodeMessage } from "../../proto/codec.js";
import type { Epoch, JobId } from "../../proto/ids.js";
import type { JournalRecord } from "../core/events.js";
import { applyRecord, createState, restore, type SnapshotData, snapshot } from "../core/index.js";

/** One job that succeeded, one that waits for its retry, one that was cancelled; records as msgpack, in base64. */
const records = [
  "3gADoWulZXBvY2ilZXBvY2gEpXN0YXJ0pmFiYzEyMw==",
  "3gALoWumc3VibWl0o2pvYqRkb25lpnRlbmFudKdkZWZhdWx0pG5hbWWhbqNrZXmiazGrY29udGVudEhhc2ilaGRvbmWmc3RhZ2Vzkd4A" +
    "BaVpbmRleAClY291bnQComZu3gACpmtlcm5lbKt2b2xsZXkuZWNob6d2ZXJzaW9uAaRhcmdzkKdvcHRpb25z3gAEp3JldHJpZXMBqXRp" +
    "bWVvdXRNc80D6KRwdXJlwqhwcmlvcml0eQClYmFzZXORp3Nkb25lLjCnb3V0cHV0c5EAp29iamVjdHOQpGF0TXPNA+k=",
  "3gAGoWumY29tbWl0o2pvYqRkb25lp3NlZ21lbnTeAAahcqZpbmxpbmWlc3RhZ2UApGZyb20AonRvAaRwYWNrxAoBAAAAAQAAAAAAp2Rp" +
    "Z2VzdHPEEAcHBwcHBwcHBwcHBwcHBweqc2xvdFRpbWVVcwqmcmV1c2VkwqZ3b3JrZXKhdw==",
  "3gAGoWumY29tbWl0o2pvYqRkb25lp3NlZ21lbnTeAAahcqZpbmxpbmWlc3RhZ2UApGZyb20BonRvAqRwYWNrxAoBAAAAAQAAAAABp2Rp" +
    "Z2VzdHPEEAcHBwcHBwcHBwcHBwcHBweqc2xvdFRpbWVVcwqmcmV1c2VkwqZ3b3JrZXKhdw==",
  "3gADoWumZGlnZXN0o2pvYqRkb25lpmRpZ2VzdKRmZWVk",
  "3gAEoWujZW5ko2pvYqRkb25lpXN0YXRlqXN1Y2NlZWRlZKRhdE1zzQSw",
  "3gAKoWumc3VibWl0o2pvYqRvcGVupnRlbmFudKdkZWZhdWx0pG5hbWWhbqtjb250ZW50SGFzaKVob3BlbqZzdGFnZXOS3gAFpWluZGV4" +
    "AKVjb3VudAGiZm7eAAKma2VybmVsq3ZvbGxleS5lY2hvp3ZlcnNpb24BpGFyZ3OQp29wdGlvbnPeAASncmV0cmllcwGpdGltZW91dE1z" +
    "zQPopHB1cmXCqHByaW9yaXR5AN4ABaVpbmRleAGlY291bnQDomZu3gACpmtlcm5lbKt2b2xsZXkuZWNob6d2ZXJzaW9uAaRhcmdzkd4A" +
    "A6FhpXN0YWdlpXN0YWdlAKRlZGdlo2FsbKdvcHRpb25z3gAEp3JldHJpZXMBqXRpbWVvdXRNc80D6KRwdXJlwqhwcmlvcml0eQClYmFz" +
    "ZXOSp3NvcGVuLjCnc29wZW4uMadvdXRwdXRzkQGnb2JqZWN0c5CkYXRNc80EsA==",
  "3gAFoWulcmV0cnmjam9ipG9wZW6lc3RhZ2UApHRhc2sApWVycm9y3gACpGNvZGWrVEFTS19GQUlMRUSnbWVzc2FnZaJubw==",
  "3gAKoWumc3VibWl0o2pvYqRnb25lpnRlbmFudKdkZWZhdWx0pG5hbWWhbqtjb250ZW50SGFzaKVoZ29uZaZzdGFnZXOR3gAFpWluZGV4" +
    "AKVjb3VudAGiZm7eAAKma2VybmVsq3ZvbGxleS5lY2hvp3ZlcnNpb24BpGFyZ3OQp29wdGlvbnPeAASncmV0cmllcwGpdGltZW91dE1z" +
    "zQPopHB1cmXCqHByaW9yaXR5AKViYXNlc5Gnc2dvbmUuMKdvdXRwdXRzkQCnb2JqZWN0c5CkYXRNc80EsA==",
  "3gAFoWujZW5ko2pvYqRnb25lpXN0YXRlqWNhbmNlbGxlZKRhdE1zzQUUpWVycm9y3gACpGNvZGWpQ0FOQ0VMTEVEp21lc3NhZ2W2Y2Fu" +
    "Y2VsbGVkIGJ5IGl0cyBvd25lcg==",
];
/** Of the state that wrote them. */
const taken =
  "3gAGoXYBpWVwb2NoBKRwdXRzkKVlbmRlZJKkZG9uZaRnb25lpWJsb2JzkKRqb2Jzk94AEKJpZKRkb25lpnRlbmFudKdkZWZhdWx0pG5h" +
  "bWWhbqNrZXmiazGrY29udGVudEhhc2ilaGRvbmWnb3V0cHV0c5EAp29iamVjdHOQrXN1Ym1pdHRlZEF0TXPNA+mlc3RhdGWpc3VjY2Vl" +
  "ZGVkqWVuZGVkQXRNc80EsKVlcnJvcsCmZGlnZXN0pGZlZWSoZXhlY3V0ZWQCqnNsb3RUaW1lVXMUq3Jlc3VsdEJ5dGVzAqZzdGFnZXOR" +
  "3gAHpHNwZWPeAAWlaW5kZXgApWNvdW50AqJmbt4AAqZrZXJuZWyrdm9sbGV5LmVjaG+ndmVyc2lvbgGkYXJnc5Cnb3B0aW9uc94ABKdy" +
  "ZXRyaWVzAal0aW1lb3V0TXPNA+ikcHVyZcKocHJpb3JpdHkApGJhc2Wnc2RvbmUuMKhzZWdtZW50c5LeAAahcqZpbmxpbmWlc3RhZ2UA" +
  "pGZyb20AonRvAaRwYWNrxAoBAAAAAQAAAAAAp2RpZ2VzdHPEEAcHBwcHBwcHBwcHBwcHBwfeAAahcqZpbmxpbmWlc3RhZ2UApGZyb20B" +
  "onRvAqRwYWNrxAoBAAAAAQAAAAABp2RpZ2VzdHPEEAcHBwcHBwcHBwcHBwcHBwepY2FuY2VsbGVkkKhmYWlsdXJlc5CmcmV1c2VkAKdy" +
  "ZXRyaWVkAN4AEKJpZKRvcGVupnRlbmFudKdkZWZhdWx0pG5hbWWhbqNrZXnAq2NvbnRlbnRIYXNopWhvcGVup291dHB1dHORAadvYmpl" +
  "Y3RzkK1zdWJtaXR0ZWRBdE1zzQSwpXN0YXRlp3J1bm5pbmepZW5kZWRBdE1zwKVlcnJvcsCmZGlnZXN0wKhleGVjdXRlZACqc2xvdFRp" +
  "bWVVcwCrcmVzdWx0Qnl0ZXMApnN0YWdlc5LeAAekc3BlY94ABaVpbmRleAClY291bnQBomZu3gACpmtlcm5lbKt2b2xsZXkuZWNob6d2" +
  "ZXJzaW9uAaRhcmdzkKdvcHRpb25z3gAEp3JldHJpZXMBqXRpbWVvdXRNc80D6KRwdXJlwqhwcmlvcml0eQCkYmFzZadzb3Blbi4wqHNl" +
  "Z21lbnRzkKljYW5jZWxsZWSQqGZhaWx1cmVzkZIAAaZyZXVzZWQAp3JldHJpZWQB3gAHpHNwZWPeAAWlaW5kZXgBpWNvdW50A6Jmbt4A" +
  "AqZrZXJuZWyrdm9sbGV5LmVjaG+ndmVyc2lvbgGkYXJnc5HeAAOhYaVzdGFnZaVzdGFnZQCkZWRnZaNhbGynb3B0aW9uc94ABKdyZXRy" +
  "aWVzAal0aW1lb3V0TXPNA+ikcHVyZcKocHJpb3JpdHkApGJhc2Wnc29wZW4uMahzZWdtZW50c5CpY2FuY2VsbGVkkKhmYWlsdXJlc5Cm" +
  "cmV1c2VkAKdyZXRyaWVkAN4AEKJpZKRnb25lpnRlbmFudKdkZWZhdWx0pG5hbWWhbqNrZXnAq2NvbnRlbnRIYXNopWhnb25lp291dHB1" +
  "dHORAKdvYmplY3RzkK1zdWJtaXR0ZWRBdE1zzQSwpXN0YXRlqWNhbmNlbGxlZKllbmRlZEF0TXPNBRSlZXJyb3LeAAKkY29kZalDQU5D" +
  "RUxMRUSnbWVzc2FnZbZjYW5jZWxsZWQgYnkgaXRzIG93bmVypmRpZ2VzdMCoZXhlY3V0ZWQAqnNsb3RUaW1lVXMAq3Jlc3VsdEJ5dGVz" +
  "AKZzdGFnZXOR3gAHpHNwZWPeAAWlaW5kZXgApWNvdW50AaJmbt4AAqZrZXJuZWyrdm9sbGV5LmVjaG+ndmVyc2lvbgGkYXJnc5Cnb3B0" +
  "aW9uc94ABKdyZXRyaWVzAal0aW1lb3V0TXPNA+ikcHVyZcKocHJpb3JpdHkApGJhc2Wnc2dvbmUuMKhzZWdtZW50c5CpY2FuY2VsbGVk" +
  "kZIAAahmYWlsdXJlc5CmcmV1c2VkAKdyZXRyaWVkAA==";

const bytes = (base64: string): Uint8Array => Buffer.from(base64, "base64");

test("records of the version before give the state that wrote them", () => {
  const state = createState({ epoch: 4 as Epoch });
  for (const record of records) applyRecord(state, decodeRaw(bytes(record)) as JournalRecord);
  expect(decodeRaw(encodeMessage(snapshot(state)))).toEqual(decodeRaw(bytes(taken)));
  expect([...state.jobs.values()].map(({ id, state: is, kind }) => [id, is, kind])).toEqual([
    ["done", "succeeded", "durable"],
    ["open", "running", "durable"],
    ["gone", "cancelled", "durable"],
  ]);
});

test("a snapshot of the version before gives the state that it was taken of", () => {
  const state = restore(decodeRaw(bytes(taken)) as SnapshotData);
  expect(decodeRaw(encodeMessage(snapshot(state)))).toEqual(decodeRaw(bytes(taken)));
  expect(
    state.jobs
      .get("open" as JobId)
      ?.stages.get(0)
      ?.failureRecords.get(0)?.userFailures,
  ).toBe(1);
  expect(state.jobs.get("done" as JobId)).toMatchObject({ digest: { d: "known", digest: "feed" } });
});
