/**
 * The command line that starts this program, for a child and for the settings of other programs.
 */
import * as path from "node:path"

/** Returns the program and its first arguments; the binary is a program by itself. */
export const ownProgram = (): readonly [command: string, ...args: ReadonlyArray<string>] =>
  process.versions["bun"] === undefined ? [process.execPath, path.resolve(process.argv[1] ?? "")] : [process.execPath]
