/** Every limit of the protocol in one place. A limit that is reached is a coded error, never silence. */
export const limits = {
  /** A result of at most this many bytes travels inside its commit; a larger one goes to the object store. */
  inlineBytesMax: 4 * 1024,
  /** A message's target size; batches are cut before they pass it. NATS' own default maximum is 1 MiB. */
  messageBytesMax: 512 * 1024,
  /** Bytes of one transport slice of a payload. */
  frameBytes: 512 * 1024,
  /** Bytes in flight per stream before the receiver must give credit. */
  windowBytes: 8 * 1024 * 1024,
  /** One object. */
  objectBytesMax: 2 * 1024 * 1024 * 1024,
  /** One object in the durable store. */
  durableObjectBytesMax: 256 * 1024 * 1024,
  bundleBytesMax: 16 * 1024 * 1024,
  tasksPerStageMax: 10_000_000,
  /** Of all stages of a job together; for a session, of the stages whose refs live. */
  tasksPerJobMax: 20_000_000,
  stagesPerJobMax: 10_000,
  /**
   * Stages of a session whose refs live, and bytes of their arguments: what one client may make the scheduler remember.
   */
  stagesPerSessionMax: 500_000,
  argBytesPerSessionMax: 512 * 1024 * 1024,
  argsPerTaskMax: 64,
  /** Stages of a session kept without their results, to make again what is lost of those that read them. */
  shelvedStagesMax: 10_000,
  /**
   * Stages that one heartbeat of a client names as waited for, and as released; the next heartbeat names further ones.
   */
  heartbeatStagesMax: 10_000,
  jobsListedMax: 1_000,
  /** Followers of jobs, all jobs together. */
  watchesMax: 10_000,
  /** Objects in one message of a client about what it has put. */
  objectsListedMax: 2_000,

  requestTimeoutMs: 10_000,
  heartbeatIntervalMs: 1_000,
  /** A worker or client not heard of for this long is lost. */
  heartbeatTimeoutMs: 5_000,
  /**
   * What a lost worker alone held, and cannot be made again, is waited for so long: it may have been stopped, or cut
   * off, and come back with it.
   */
  silentWorkerPatienceMs: 60_000,
  /**
   * A client may be away this long (stopped by a signal or a debugger, a suspended laptop) before its session ends. One
   * that closes ends at once.
   */
  sessionTimeoutMs: 300_000,
  /**
   * A worker that drains waits for others to fetch what it alone holds as long as the scheduler says so; without a word
   * from it this long.
   */
  drainGraceMs: 20_000,
  /** Unacknowledged commits are sent again after this long. */
  commitResendMs: 1_000,
  /** Of a task that sets no timeoutMs: an hour. */
  taskTimeoutMsDefault: 3_600_000,
  taskTimeoutMsMax: 366 * 24 * 3_600_000,
  frameIdleTimeoutMs: 15_000,

  retryBackoffMsFirst: 100,
  retryBackoffMsMax: 30_000,
  /** Times a task may be executing on a worker that dies before it is quarantined (I8). */
  strikesMax: 3,
} as const;
