/** Somebody whose silence would mean something. */
export interface Peer {
  /** When it was last heard. */
  heardMs: number;
  /** The same in listening time (liveness.ts). */
  heardAt: number;
}
