import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

/** Unit tests run on virtual time and temporary files; e2e tests start the built program. */
export default defineConfig({
  test: {
    // Much of the time of e2e tests is waiting for processes and disks.
    maxWorkers: availableParallelism() + 1,
    projects: [
      // One load of the modules serves many files: loading takes longer than testing.
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/e2e/**"],
          isolate: false,
          testTimeout: 60_000
        }
      },
      // Only a hang reaches these limits, even on a machine that is ten times slower.
      { test: { name: "e2e", include: ["test/e2e/**/*.test.ts"], testTimeout: 180_000, hookTimeout: 180_000 } }
    ]
  }
})
