/**
 * Runs every command line that the fast path does not.
 *
 * A line that names no command or asks for help needs no command; for any other one the
 * command and its libraries are loaded.
 */
import { emptyCoreFiles } from "../process/coreFiles.ts"
import { compileAfterShortLife } from "../process/engineCompilers.ts"
import { keepIgnoredSignals } from "../process/keepIgnoredSignals.ts"
import { findCommand } from "./command/Command.ts"
import { exitWith } from "./command/Output.ts"
import { loaderOf } from "./commands.ts"

export const main = async (args: ReadonlyArray<string>): Promise<void> => {
  emptyCoreFiles()
  compileAfterShortLife()
  const found = findCommand(args)
  const { name = "" } = found
  if (args[0] === "proxy-worker" && process.send !== undefined) {
    return (await import("../proxy/proxyWorkerMain.ts")).runProxyWorker()
  }
  if (name === "exec") keepIgnoredSignals()
  const load = loaderOf(name)
  if (load === undefined || args.includes("--help") || args.includes("-h")) {
    const { usage } = await import("./usage.ts")
    const status = await usage(args)
    // The flag may have been one of the program that `exec` runs.
    if (status !== undefined) return exitWith(status)
    if (load === undefined) throw new Error(`there is no command ${JSON.stringify(name)}`)
  }
  const { runMain } = await import("./runMain.ts")
  return runMain(found, load)
}
