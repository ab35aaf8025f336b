/**
 * The memory that the agent and one slot's thread share: control cells, and a ring of results.
 *
 * The thread writes results here instead of posting them, so that what it has made survives its own death: after an
 * exit, a crash or a kill the agent still reads every finished task, and the cell `executing` names the one at fault.
 *
 * One producer (the thread), one consumer (the agent). Positions grow for ever (mod 2^32); an entry never wraps round
 * the end:
 *   u32 task | u32 kind << 24 | payload bytes | u32 slot time in µs | u32 digest bytes (0, 16 or 48) | digest |
 *   payload | padding to 8
 */
import { digestBytes } from "../../proto/digest.js";
import type { ErrorCode } from "../../proto/errors.js";
import { grantCells, RoomGrants } from "./room-grants.js";

const ringBytes = 1 << 20;
const cells = 24;
const headBytes = 16;
/** Stands where the rest of the ring is too short for the next entry. */
const wrapTask = 0xffff_ffff;
/** Entry kind of a failure: the payload is a WireError as JSON. Other kinds are value kinds. */
export const failedKind = 255;
/** Entry kind of a result that lies in the store: the payload says where, in words (offset, bytes, value kind). */
export const placedKind = 254;
const placedBytes = 12;
const sha256Bytes = 32;

/** Indexes of the control cells. */
const cell = {
  /** Written by the agent: start no task from here on. */
  limit: 0,
  /** Written by the thread: the task it executes, -1 for none. */
  executing: 1,
  /**
   * When that task started: milliseconds of the monotonic clock (clock.ts), low 32 bits; the others are in
   * `startedHigh`.
   */
  startedMs: 2,
  /** The thread's id, 0 before it has taken the run. */
  threadId: 3,
  /** 1 while the function is being loaded, 2 while what all tasks share is decoded: who dies then is not a task. */
  loading: 4,
  head: 5,
  tail: 6,
  /** Large results posted in this run. */
  larges: 7,
  /** Bytes of large results that the agent has not stored yet. */
  largeBytes: 8,
  /** Not 0: user code made the thread unfit, and it ends by itself; the value is 1 + the first task not executed. */
  retired: 9,
  startedHigh: 10,
  /** 1 while the arguments of the executing task are decoded. */
  decoding: 11,
  /** Every task below this has begun, and may have ended. */
  begun: 12,
  /** Room for large results (room-grants.ts), to the end. */
  room: 13,
} as const;

const atomics = {
  load: Atomics.load,
  store: Atomics.store,
  add: Atomics.add,
  sub: Atomics.sub,
  wait: Atomics.wait,
  notify: Atomics.notify,
};

export interface RingEntry {
  task: number;
  kind: number;
  timeUs: number;
  /** Offsets into the ring's bytes. */
  digestAt: number;
  digestBytes: number;
  payloadAt: number;
  payloadBytes: number;
}

/** Where a result lies in the store, and what it is. */
export interface PlacedResult {
  readonly offset: number;
  readonly bytes: number;
  readonly kind: number;
  readonly digest: Uint8Array;
  /** Of the payload alone: by this the durable store knows it. */
  readonly sha256?: Uint8Array | undefined;
}

export class SlotChannel {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: Int32Array;
  readonly ring: Uint8Array;
  readonly #words: Uint32Array;
  readonly room: RoomGrants;
  readonly #placed = new Uint8Array(placedBytes);
  readonly #digests = new Uint8Array(digestBytes + sha256Bytes);
  readonly #placedWords = new Uint32Array(this.#placed.buffer);

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(4 * cells + ringBytes)) {
    this.buffer = buffer;
    this.#cells = new Int32Array(buffer, 0, cells);
    this.ring = new Uint8Array(buffer, 4 * cells, ringBytes);
    this.#words = new Uint32Array(buffer, 4 * cells, ringBytes / 4);
    this.room = new RoomGrants(this.#cells.subarray(cell.room, cell.room + grantCells));
  }

  // ---- control, agent's side

  /**
   * Before tasks [from, limit) of a run are given to a thread: no thread uses the channel now. `largeBytes`: those of
   * earlier runs that are not stored yet.
   */
  reset(from: number, limit: number, largeBytes: number): void {
    this.#cells.fill(0);
    atomics.store(this.#cells, cell.begun, from);
    atomics.store(this.#cells, cell.largeBytes, largeBytes);
    atomics.store(this.#cells, cell.limit, limit);
    atomics.store(this.#cells, cell.executing, -1);
  }

  get threadId(): number {
    return atomics.load(this.#cells, cell.threadId);
  }
  get executing(): number {
    return atomics.load(this.#cells, cell.executing);
  }
  /** What the thread does before its first task. */
  get loading(): "module" | "arguments" | undefined {
    const phase = atomics.load(this.#cells, cell.loading);
    return phase === 1 ? "module" : phase === 2 ? "arguments" : undefined;
  }
  /** The executing task has not been called yet. */
  get decoding(): boolean {
    return atomics.load(this.#cells, cell.decoding) === 1;
  }
  get larges(): number {
    return atomics.load(this.#cells, cell.larges);
  }

  /**
   * The first task not executed by a thread that has ended because it was unfit; undefined if that is not why it ended.
   */
  get retiredAt(): number | undefined {
    const at = atomics.load(this.#cells, cell.retired);
    return at === 0 ? undefined : at - 1;
  }

  /** How long the executing task has been running; 0 if none is. */
  executingMs(nowMs: number): number {
    if (this.executing < 0 && !this.loading) return 0;
    const startedMs =
      atomics.load(this.#cells, cell.startedHigh) * 2 ** 32 + (atomics.load(this.#cells, cell.startedMs) >>> 0);
    return Math.max(0, nowMs - startedMs);
  }

  /**
   * Asks the thread to start nothing from `to` on, and returns the first task that surely will not start. The thread
   * announces a task before it looks at the limit, so either it sees the new limit or we see its announcement. That
   * stays after the task has ended: the run may be over in the thread while the agent has not heard of it.
   */
  limit(to: number): number {
    atomics.store(this.#cells, cell.limit, to);
    const effective = Math.max(to, atomics.load(this.#cells, cell.begun));
    if (effective !== to) atomics.store(this.#cells, cell.limit, effective);
    return effective;
  }

  largeStored(bytes: number): void {
    atomics.sub(this.#cells, cell.largeBytes, bytes);
    atomics.notify(this.#cells, cell.largeBytes);
  }

  // ---- control, thread's side

  enter(threadId: number, nowMs: number): void {
    this.#started(nowMs);
    atomics.store(this.#cells, cell.loading, 1);
    atomics.store(this.#cells, cell.threadId, threadId);
  }
  decodes(): void {
    atomics.store(this.#cells, cell.loading, 2);
  }
  taskDecodes(on: boolean): void {
    atomics.store(this.#cells, cell.decoding, on ? 1 : 0);
  }
  loaded(): void {
    atomics.store(this.#cells, cell.loading, 0);
  }
  /** Announces a task. False: it is beyond the limit and must not start. */
  begin(task: number, nowMs: number): boolean {
    this.#started(nowMs);
    atomics.store(this.#cells, cell.executing, task);
    atomics.store(this.#cells, cell.begun, task + 1);
    if (task < atomics.load(this.#cells, cell.limit)) return true;
    atomics.store(this.#cells, cell.begun, task);
    atomics.store(this.#cells, cell.executing, -1);
    return false;
  }
  #started(nowMs: number): void {
    atomics.store(this.#cells, cell.startedHigh, Math.floor(nowMs / 2 ** 32));
    atomics.store(this.#cells, cell.startedMs, Math.floor(nowMs) | 0);
  }
  rest(): void {
    atomics.store(this.#cells, cell.executing, -1);
  }

  retire(next: number): void {
    atomics.store(this.#cells, cell.retired, next + 1);
  }

  /** Counts a large result among those under way; waits while there are more than `bytesMax`. */
  largePosted(bytes: number, bytesMax: number): void {
    this.#largeUnderWay(bytes, bytesMax, () => undefined);
    atomics.add(this.#cells, cell.larges, 1);
  }

  /** The same of one that is not posted: the agent hears of it, and of those before it, when it reads the ring. */
  largePlaced(bytes: number, bytesMax: number, wake: () => void): void {
    this.#largeUnderWay(bytes, bytesMax, wake);
  }

  #largeUnderWay(bytes: number, bytesMax: number, wake: () => void): void {
    for (;;) {
      const under = atomics.load(this.#cells, cell.largeBytes);
      if (under === 0 || under + bytes <= bytesMax) break;
      wake();
      atomics.wait(this.#cells, cell.largeBytes, under, 1000);
    }
    atomics.add(this.#cells, cell.largeBytes, bytes);
  }

  /** Appends an entry of a result that has been written into the store. */
  writePlaced(task: number, at: PlacedResult, timeUs: number, wake: () => void): void {
    this.#placedWords[0] = at.offset;
    this.#placedWords[1] = at.bytes;
    this.#placedWords[2] = at.kind;
    const { digest, sha256 } = at;
    if (sha256) {
      this.#digests.set(digest);
      this.#digests.set(sha256, digestBytes);
    }
    this.write(task, placedKind, timeUs, sha256 ? this.#digests : digest, this.#placed, wake);
  }

  /** Appends an entry. While the ring is full, `wake` is called to tell the agent, and the thread waits. */
  write(
    task: number,
    kind: number,
    timeUs: number,
    digest: Uint8Array | undefined,
    payload: Uint8Array,
    wake: () => void,
  ): void {
    const digestSize = digest?.byteLength ?? 0;
    const size = (headBytes + digestSize + payload.byteLength + 7) & ~7;
    let head = atomics.load(this.#cells, cell.head);
    let at = (head >>> 0) & (ringBytes - 1);
    const skip = at + size > ringBytes ? ringBytes - at : 0;
    this.#awaitRoom(head, skip + size, wake);
    if (skip > 0) {
      this.#words[at >>> 2] = wrapTask;
      head = (head + skip) | 0;
      at = 0;
    }
    const word = at >>> 2;
    this.#words[word] = task;
    this.#words[word + 1] = ((kind << 24) | payload.byteLength) >>> 0;
    this.#words[word + 2] = Math.min(timeUs, 0xffff_ffff);
    this.#words[word + 3] = digestSize;
    if (digest) this.ring.set(digest, at + headBytes);
    const to = at + headBytes + digestSize;
    if (payload.byteLength > 24) this.ring.set(payload, to);
    else for (let i = 0; i < payload.byteLength; i++) this.ring[to + i] = payload[i] as number;
    atomics.store(this.#cells, cell.head, (head + size) | 0);
  }

  #awaitRoom(head: number, bytes: number, wake: () => void): void {
    for (;;) {
      const tail = atomics.load(this.#cells, cell.tail);
      if (((head - tail) >>> 0) + bytes <= ringBytes) return;
      wake();
      atomics.wait(this.#cells, cell.tail, tail, 1000);
    }
  }

  // ---- reading, agent's side

  /** Of an entry of {@link placedKind}. */
  placedAt(entry: RingEntry): PlacedResult {
    const word = entry.payloadAt >>> 2;
    const digests = this.ring.slice(entry.digestAt, entry.digestAt + entry.digestBytes);
    return {
      offset: this.#words[word] as number,
      bytes: this.#words[word + 1] as number,
      kind: this.#words[word + 2] as number,
      digest: digests.subarray(0, digestBytes),
      sha256: digests.byteLength > digestBytes ? digests.subarray(digestBytes) : undefined,
    };
  }

  /**
   * Calls `visit` with each entry not read yet; the entry object is reused. The space is free again when `read`
   * returns.
   */
  read(visit: (entry: RingEntry) => void): void {
    const head = atomics.load(this.#cells, cell.head);
    let tail = atomics.load(this.#cells, cell.tail);
    if (tail === head) return;
    const entry: RingEntry = {
      task: 0,
      kind: 0,
      timeUs: 0,
      digestAt: 0,
      digestBytes: 0,
      payloadAt: 0,
      payloadBytes: 0,
    };
    while (tail !== head) {
      const at = (tail >>> 0) & (ringBytes - 1);
      const word = at >>> 2;
      const task = this.#words[word] as number;
      if (task === wrapTask) {
        tail = (tail + ringBytes - at) | 0;
        continue;
      }
      const kindAndBytes = this.#words[word + 1] as number;
      entry.task = task;
      entry.kind = kindAndBytes >>> 24;
      entry.timeUs = this.#words[word + 2] as number;
      entry.digestBytes = this.#words[word + 3] as number;
      entry.digestAt = at + headBytes;
      entry.payloadAt = entry.digestAt + entry.digestBytes;
      entry.payloadBytes = kindAndBytes & 0x00ff_ffff;
      visit(entry);
      tail = (tail + ((headBytes + entry.digestBytes + entry.payloadBytes + 7) & ~7)) | 0;
    }
    atomics.store(this.#cells, cell.tail, tail);
    atomics.notify(this.#cells, cell.tail);
  }
}

/** What a thread says of a run that could not start: every task of it fails with this. */
export interface RunFault {
  readonly code: ErrorCode;
  readonly message: string;
  readonly stack?: string | undefined;
}
