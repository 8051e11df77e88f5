/**
 * The file by which a step of a GitHub job gives variables to the steps after it.
 *
 * The runner makes it and names it in GITHUB_ENV. It is added to, never replaced.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import type { EnvVariable } from "../../../domain/envFile.ts"
import { githubLines } from "../../../domain/envFile.ts"
import { failUsage } from "../../command/CommandError.ts"
import { envFileError } from "./writeEnvFile.ts"

/** Where it is. To be asked before anything is leased. */
export const githubFile = Effect.suspend(() => {
  const file = process.env["GITHUB_ENV"] ?? ""
  return file !== "" && fs.existsSync(file)
    ? Effect.succeed(file)
    : failUsage(
        "GITHUB_ENV names no file",
        "--format github is for a step of a GitHub job; there are also shell and json"
      )
})

export const appendGithub = (file: string, variables: ReadonlyArray<EnvVariable>) =>
  Effect.try({
    try: () => {
      const handle = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_APPEND)
      try {
        const { size } = fs.fstatSync(handle)
        const last = Buffer.alloc(1, "\n")
        if (size > 0) fs.readSync(handle, last, 0, 1, size - 1)
        // node:crypto is loaded only here because it is slow to load.
        const delimiter = `secrets_${process.getBuiltinModule("node:crypto").randomUUID()}`
        const lines = githubLines(variables, delimiter)
        fs.writeFileSync(handle, last.toString() === "\n" ? lines : `\n${lines}`)
      } finally {
        fs.closeSync(handle)
      }
    },
    catch: envFileError(file)
  })
