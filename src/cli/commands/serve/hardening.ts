/**
 * Hardening of the daemon's process: closes an open debugger and disables core dumps.
 *
 * Both are best effort, in addition to the launch options that the services set. A
 * daemon without them still starts. Node's diagnostic reports need an option, which
 * `unsafeRuntimeOptions` rejects.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"

/**
 * Closes the inspector and logs a warning if SIGUSR1 opened it before our signal handlers were installed. It would
 * listen for every local user. `node --disable-sigusr1` never opens it.
 *
 * One SIGUSR1 can open the inspector up to three times: Node requests it by an interrupt, a task and a wake-up of the
 * event loop. `serve` therefore calls this three times while it starts.
 */
export const closeDebugger = Effect.gen(function* () {
  if (process.execArgv.includes("--disable-sigusr1")) return
  const inspector = yield* Effect.promise(() => import("node:inspector"))
  yield* Effect.yieldNow
  if (inspector.url() === undefined) return
  inspector.close()
  yield* Effect.logWarning(
    "closed a debugger that was open at startup and may have been used; restart with node --disable-sigusr1"
  )
})

/**
 * Sets the core file limit to 0 later, because starting prlimit takes time that the start of the daemon must not wait
 * for. Core files are empty already (`emptyCoreFiles`). Linux only; on macOS the launchd job sets the limit.
 */
export const disableCoreDumps = Effect.forkChild(
  Effect.andThen(
    Effect.sleep("1 second"),
    Effect.sync(() => lowerCoreLimit())
  )
)

/** Sets RLIMIT_CORE with util-linux's prlimit, because Node has no setrlimit. Child processes inherit the limit. */
const lowerCoreLimit = (): void => {
  const args = ["--core=0:0", "--pid", String(process.pid)]
  const child = spawn("prlimit", args, { cwd: "/", env: { PATH: "/usr/bin:/bin" }, stdio: "ignore" })
  child.once("error", () => undefined)
  child.unref()
}
