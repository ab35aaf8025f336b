import { defineConfig } from "vitest/config";

// Whole-cluster tests with real processes: one file at a time, because each brings up a cluster of its own and watches
// the clock.
export default defineConfig({
  test: {
    include: ["dist/e2e/**/*.test.js"],
    globalSetup: ["dist/cluster/local/testing/nats-for-tests.js"],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000, interval: 20 } },
    pool: "forks",
    maxWorkers: 1,
    fileParallelism: false,
  },
});
