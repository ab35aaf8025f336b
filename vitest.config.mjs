import { defineConfig } from "vitest/config";

// Tests run on the compiled files: threads and child processes then load exactly what a user's would.
export default defineConfig({
  test: {
    include: ["dist/**/*.test.js"],
    exclude: ["**/node_modules/**", "dist/e2e/**"],
    globalSetup: ["dist/cluster/local/testing/nats-for-tests.js"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
