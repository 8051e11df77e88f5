/**
 * Keeps the memory of this process out of core files, as far as a program can do
 * that for itself. The reports of Node need an option, and `serve` takes none.
 *
 * Linux only, and children inherit it; on macOS the launchd job sets the limit.
 * It says nothing and fails nothing: a daemon without it is still better than none.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"

/** From here on a core file has no memory in it; a while later there is no file either. */
export const disableCoreDumps = Effect.gen(function* () {
  yield* Effect.sync(emptyCoreFiles)
  yield* Effect.forkChild(Effect.andThen(Effect.sleep(untilStarted), Effect.sync(lowerCoreLimit)))
})

/** Which kinds of memory go into a core file: none. */
const emptyCoreFiles = (): void => {
  try {
    writeFileSync("/proc/self/coredump_filter", "0")
  } catch {
    // Not Linux, or no /proc.
  }
}

/** To start a process takes some milliseconds, for which nobody who waits for the daemon should wait. */
const untilStarted = "1 second"

/** Node has no setrlimit; prlimit of util-linux does it from outside, in its own time. */
const lowerCoreLimit = (): void => {
  const args = ["--core=0:0", "--pid", String(process.pid)]
  const child = spawn("prlimit", args, { cwd: "/", env: { PATH: "/usr/bin:/bin" }, stdio: "ignore" })
  child.once("error", () => undefined)
  child.unref()
}
