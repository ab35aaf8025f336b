/**
 * What each role may say and hear on NATS, as permissions of a user of its own: only the scheduler writes the journal
 * and snapshots, commands workers and tells clients of results; a worker cannot speak as a client nor a client as a
 * worker; nobody but the scheduler deletes. docs/security.md shows the same lists for servers of one's own; local
 * clusters generate the users.
 */
import { streams, subjects } from "./subjects.js";

export const natsRoles = ["scheduler", "worker", "client", "gateway"] as const;
export type NatsRole = (typeof natsRoles)[number];

export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** May answer what it hears, once each, whatever the reply subject is. */
  readonly answers: boolean;
}

/** Replies go to inboxes under the user's name, so that no user can listen to another's. */
export const inboxOf = (user: string): string =>
  user === "" ? "_INBOX" : `_INBOX.${user.replace(/[^A-Za-z0-9_-]/g, "_")}`;

const api = (verb: string, stream: string): string => `$JS.API.${verb}.${stream}`;
const readingApi = (stream: string): string[] => [
  api("STREAM.INFO", stream),
  api("STREAM.MSG.GET", stream),
  api("DIRECT.GET", stream),
  api("DIRECT.GET", `${stream}.>`),
];
const owningApi = (stream: string): string[] => [
  ...readingApi(stream),
  api("STREAM.CREATE", stream),
  api("STREAM.PURGE", stream),
];
const blobs = (bucket: string): string => `volley.blob.${bucket}.>`;
const buckets = [streams.bundles, streams.objects, streams.snapshots, streams.results, streams.scratch];
const accountApi = "$JS.API.INFO";
const any = "*" as never;

export function permissionsOf(role: NatsRole): Permissions {
  const inbox = `${inboxOf(role)}.>`;
  const peers = [subjects.data(any), subjects.frames(any)];
  switch (role) {
    case "scheduler":
      return {
        publish: [
          ...[subjects.client(any), subjects.worker(any), streams.journalSubject, "_INBOX.>", accountApi],
          ...buckets.map(blobs),
          ...[streams.journal, ...buckets].flatMap(owningApi),
        ],
        subscribe: [subjects.schedulerClient, subjects.schedulerWorker, subjects.schedulerQuestion, inbox],
        answers: false,
      };
    case "worker":
      return {
        publish: [
          ...[subjects.schedulerWorker, subjects.schedulerQuestion, ...peers, blobs(streams.objects), accountApi],
          ...[streams.bundles, streams.objects].flatMap(readingApi),
        ],
        subscribe: [subjects.worker(any), ...peers, inbox],
        answers: true,
      };
    case "client":
    case "gateway":
      return {
        publish: [
          ...[subjects.schedulerClient, ...peers, blobs(streams.bundles), blobs(streams.objects), accountApi],
          ...[streams.bundles, streams.objects].flatMap(readingApi),
        ],
        subscribe: [subjects.client(any), subjects.frames(any), inbox],
        answers: true,
      };
  }
}
