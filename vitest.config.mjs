import { defineConfig } from "vitest/config";

// Tests run on the compiled files: threads and child processes then load exactly what a user's would.
export default defineConfig({
  test: {
    include: ["dist/**/*.test.js"],
    exclude: ["**/node_modules/**", "dist/e2e/**"],
    globalSetup: ["dist/cluster/local/testing/nats-for-tests.js"],
    // Bounds of hangs, not of speed: the tests pass on a machine that is busy with four other things.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000, interval: 10 } },
    pool: "forks",
    maxWorkers: 2,
  },
});
