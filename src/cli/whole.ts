/**
 * Everything that is not asked at once. A line that names no command, or wants to be
 * told about one, is answered by the guide; for any other the libraries are loaded.
 */
import { nameAt } from "./command/Command.ts"
import { loaderOf } from "./commands.ts"
import { leave } from "./command/Output.ts"

/** `maybeHeard`: the daemon may have done already what the line asks for, and its answer was lost. */
export const whole = async (args: ReadonlyArray<string>, maybeHeard: boolean): Promise<void> => {
  const load = loaderOf(args[nameAt(args)] ?? "")
  if (load === undefined || args.includes("--help") || args.includes("-h")) {
    const { guide } = await import("./guide.ts")
    const status = await guide(args)
    // It may also have been a flag of the program that is to be run.
    if (status !== undefined) return leave(status)
  }
  const { runLine } = await import("./runLine.ts")
  return runLine(args, maybeHeard)
}
