/**
 * secrets disallow: ends the trust in a project file, also in one that is no longer there.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { projectFileName, withoutPath } from "../../../domain/ProjectTrust.ts"
import { defineCommand } from "../../command/Command.ts"
import { CommandError, workingDirectory } from "../../command/CommandError.ts"
import { changeTrustList } from "./changeTrustList.ts"
import { recorderFor, recordTrust } from "./recordTrust.ts"
import { loadTrustList } from "./trustList.ts"

export const disallowCommand = defineCommand({
  name: "disallow",
  summary: "Trust a project file no longer",
  positionals: "[PATH]",
  arity: [0, 1],
  completes: "file",
  flags: {},
  examples: ["secrets disallow", "secrets disallow ~/projects/site"],
  about: "PATH is a .secrets.json or its directory, also one that was removed; without it, the nearest trusted one.",
  run: Effect.fnUntraced(function* (args) {
    const [named] = args.positionals
    const list = yield* loadTrustList
    const candidates = pathsOf(named, yield* workingDirectory)
    const entry = candidates.flatMap((candidate) => list.find((one) => one.path === candidate) ?? [])[0]
    if (entry === undefined) {
      return yield* new CommandError({
        message: `${escapeValue(named ?? projectFileName)} is not in the list of trusted projects`,
        code: "misuse",
        fix: "See the list: secrets allow --list",
        exitStatus: exitStatus.notFound
      })
    }
    yield* recordTrust(yield* recorderFor(args), "disallow", entry)
    yield* changeTrustList((current) => withoutPath(current, entry.path))
    return { lines: [`no longer trusted: ${escapeValue(entry.path)}`], result: { path: entry.path } }
  })
})

/** Returns the paths of the list that an argument may mean; without one, those from the working directory upwards. */
const pathsOf = (named: string | undefined, directory: string): ReadonlyArray<string> => {
  if (named !== undefined) {
    const whole = path.resolve(named)
    return [whole, path.join(whole, projectFileName)].flatMap((one) => [one, withRealDirectory(one)])
  }
  const upwards = (directory: string): ReadonlyArray<string> => [
    path.join(directory, projectFileName),
    ...(directory === path.dirname(directory) ? [] : upwards(path.dirname(directory)))
  ]
  return upwards(directory)
}

const withRealDirectory = (file: string): string => {
  try {
    return path.join(fs.realpathSync.native(path.dirname(file)), path.basename(file))
  } catch {
    return file
  }
}
