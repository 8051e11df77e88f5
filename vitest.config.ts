import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import * as path from "node:path"
import { defineConfig } from "vitest/config"

/** Returns whether a directory has two gibibytes of space and lets programs run that are in it. */
const isUsable = (directory: string): boolean => {
  try {
    const { bavail, bsize } = statfsSync(directory)
    const made = mkdtempSync(`${directory}/agent-secrets-`)
    try {
      writeFileSync(`${made}/program`, "#!/bin/sh\n", { mode: 0o755 })
      execFileSync(`${made}/program`)
      return bavail * bsize > 2 ** 31
    } finally {
      rmSync(made, { recursive: true })
    }
  } catch {
    return false
  }
}

// Everything that is tested flushes its files. Memory takes no time for that, and a crash of the machine is not tested.
if (isUsable("/dev/shm")) process.env["TMPDIR"] ??= "/dev/shm"

// The commands of the tests share the compiled program; the daemon refuses that (harness/program.ts).
const compiled = mkdtempSync(path.join(tmpdir(), "agent-secrets-compiled-"))
process.env["NODE_COMPILE_CACHE"] = compiled
process.once("exit", () => rmSync(compiled, { recursive: true, force: true }))

/** Unit tests run on virtual time and temporary files; e2e tests start the built program. */
export default defineConfig({
  test: {
    // Much of the time of e2e tests is waiting for processes and disks.
    maxWorkers: availableParallelism() + 1,
    // One load of the modules serves many files: loading takes longer than testing.
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/e2e/**", "**/node_modules/**"],
          isolate: false,
          testTimeout: 60_000
        }
      },
      // Only a hang reaches these limits, even on a machine that is ten times slower.
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          isolate: false,
          testTimeout: 180_000,
          hookTimeout: 180_000
        }
      }
    ]
  }
})
