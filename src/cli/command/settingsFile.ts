/**
 * Finds and reads config.json as text. It loads no library: the fast path uses it.
 */
import { readFileSync, statSync } from "node:fs"
import { userInfo } from "node:os"
import { isAbsolute } from "node:path"
import { escapeValue } from "../../domain/escape.ts"
import { exitStatus } from "../../domain/exitStatus.ts"
import { below } from "../../domain/paths.ts"
import { fileErrorText } from "../../domain/systemError.ts"
import type { Args, globalFlags } from "./Command.ts"
import { type Problem, reasonOf } from "./Output.ts"

export type GlobalArgs = Pick<Args<typeof globalFlags>, "option">

const noHome: Problem = {
  message: "there is no home directory",
  why: "HOME is not set, and the system does not know this user",
  fix: "Set HOME to the home directory of the user who owns the secrets",
  code: "data_error",
  exitStatus: exitStatus.badConfig
}

/** Returns the home directory, or why there is none. An empty HOME counts as unset: it would mean the current directory. */
export const homeDirectory = (): string | Problem => {
  try {
    const home = process.env["HOME"] || userInfo().homedir
    return isAbsolute(home) ? home : { ...noHome, why: "HOME is not an absolute path" }
  } catch {
    return noHome
  }
}

/** Returns the text of config.json, an empty object if there is none, and the home directory. */
export const readSettings = (
  args: GlobalArgs,
  home: string | Problem = homeDirectory()
): { text: string; home: string; file: string } | Problem => {
  if (typeof home !== "string") return home
  const named = args.option("config")
  const file = named ?? below(below(home, ".agent-secrets"), "config.json")
  try {
    // Reading a pipe would block until something is written to it.
    if (!statSync(file).isFile()) return unreadable(file, "it is not a regular file")
    // The decoder leaves out a byte order mark.
    return { text: new TextDecoder().decode(readFileSync(file)), home, file }
  } catch (error) {
    const code = reasonOf(error)
    return code === "ENOENT" && named === undefined
      ? { text: "{}", home, file }
      : unreadable(file, fileErrorText(error), code)
  }
}

const unreadable = (file: string, why: string, code?: string): Problem => ({
  ...configError(`cannot read ${escapeValue(file)}: ${why}`, "Name a readable config.json with --config"),
  ...(code === "EACCES" ? { denied: file } : {})
})

export const configError = (message: string, fix: string): Problem => ({
  message,
  fix,
  code: "data_error",
  exitStatus: exitStatus.badConfig
})
