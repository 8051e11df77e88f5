/**
 * Keeps the memory of this process out of files, as far as a program can do that
 * for itself: no core file with anything of it, no diagnostic report by itself.
 *
 * Linux only, and children inherit it; on macOS the launchd job sets the limit.
 * It says nothing and fails nothing: a daemon without it is still better than none.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"

export const forbidDumps = Effect.sync(() => {
  // Which kinds of memory go into a core file: none.
  try {
    writeFileSync("/proc/self/coredump_filter", "0")
  } catch {
    // Not Linux, or no /proc.
  }
  lowerCoreLimit()
  if (process.report === undefined) return
  process.report.reportOnFatalError = false
  process.report.reportOnSignal = false
  process.report.reportOnUncaughtException = false
  process.report.excludeEnv = true
})

/** Node has no setrlimit; prlimit of util-linux does it from outside, in its own time. */
const lowerCoreLimit = (): void => {
  const args = ["--core=0:0", "--pid", String(process.pid)]
  const child = spawn("prlimit", args, { cwd: "/", env: { PATH: "/usr/bin:/bin" }, stdio: "ignore" })
  child.once("error", () => undefined)
  child.unref()
}
