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

/** Returns whether the interpreter of a script exists; true for a file that is no script. */
export const hasInterpreter = (file: string): boolean => {
  const head = Buffer.alloc(256)
  try {
    const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
    try {
      fs.readSync(fd, head)
    } finally {
      fs.closeSync(fd)
    }
  } catch {
    return true
  }
  const [, interpreter] = /^#![ \t]*([^ \t\n\0]+)[ \t\n]/.exec(head.toString("latin1")) ?? []
  return interpreter === undefined || fs.existsSync(interpreter)
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
