/**
 * Everything that is not asked at once. A line that names no command, or wants to be
 * told about one, is answered by the guide; for any other the libraries are loaded.
 */
import { commandIndex } from "./command/Command.ts"
import { loaderOf } from "./commands.ts"
import { exitWith } from "./command/Output.ts"

/** `maybeHeard`: the daemon may have done already what the line asks for, and its answer was lost. */
export const main = async (args: ReadonlyArray<string>, maybeHeard: boolean): Promise<void> => {
  const load = loaderOf(args[commandIndex(args)] ?? "")
  if (load === undefined || args.includes("--help") || args.includes("-h")) {
    const { usage } = await import("./usage.ts")
    const status = await usage(args)
    // It may also have been a flag of the program that is to be run.
    if (status !== undefined) return exitWith(status)
  }
  const { runMain } = await import("./runLine.ts")
  return runMain(args, maybeHeard)
}
