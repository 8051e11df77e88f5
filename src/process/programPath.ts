/**
 * Where a program is: the path that a policy compares with its globs.
 */
import * as fs from "node:fs"
import * as path from "node:path"

/** Returns the absolute path of a command, by PATH if it has no slash; the command itself if there is no such program. */
export const programPath = (command: string, searchPath = process.env["PATH"] ?? ""): string => {
  if (command.includes("/")) return path.resolve(command)
  const candidates = searchPath
    .split(":")
    .flatMap((directory) => (directory === "" ? [] : [path.resolve(directory, command)]))
  return candidates.find(isExecutableFile) ?? command
}

/** Returns whether this user can run a file. */
export const isExecutableFile = (file: string): boolean => {
  try {
    fs.accessSync(file, fs.constants.X_OK)
    return fs.statSync(file).isFile()
  } catch {
    return false
  }
}
