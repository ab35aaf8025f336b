/** Somebody whose silence would mean something. */
export interface Peer {
  /** When it was last heard. */
  receivedMs: number;
  /** The same in listening time (liveness.ts). */
  receivedAt: number;
}
