/**
 * Env files whose values may be references to secrets: `exec --env-file`. A line with
 * `secret://NAME` leases that secret; every other variable is passed on as it stands.
 */
import * as Effect from "effect/Effect"
import type { EnvVariable } from "../../../domain/envFile.ts"
import { variableProblem } from "../../../domain/envFile.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { parseReference } from "../../../domain/reference.ts"
import { readPath } from "../../../process/standardInput.ts"
import { fileErrorText } from "../../../domain/systemError.ts"
import { CommandError } from "../../command/CommandError.ts"
import { parseDotenv } from "../add/dotenv.ts"
import type { RequestedSecret } from "./requestedSecrets.ts"

export interface EnvFileVariables {
  readonly secrets: ReadonlyArray<RequestedSecret>
  readonly plain: ReadonlyArray<EnvVariable>
}

/** An env file is text that a person wrote. In mebibytes. */
const maxFile = 1

/** Reads the files in order; a later one decides about a variable that is in several. */
export const readEnvFiles = Effect.fnUntraced(function* (files: ReadonlyArray<string>, ttl: string) {
  const secrets = new Map<string, RequestedSecret>()
  const plain = new Map<string, EnvVariable>()
  for (const file of files) {
    const bytes = yield* Effect.mapError(readPath(file, maxFile), (cause) =>
      wrongFile(file, [`cannot be read: ${fileErrorText(cause)}`])
    )
    const { entries, errors } = parseDotenv(bytes.toString("utf8"))
    const problems = errors.map(({ line, reason }) => `line ${line}: ${reason}`)
    for (const { name, value } of entries) {
      const reference = parseReference(value)
      const wrong = variableProblem(name)
      if (wrong !== undefined) problems.push(`${name} ${wrong}`)
      else if (reference === undefined && value.startsWith("secret://"))
        problems.push(`the value of ${name} is no reference`)
      secrets.delete(name)
      plain.delete(name)
      if (reference === undefined) plain.set(name, { name, value })
      else secrets.set(name, { ...reference, variable: name, ttl, place: `${file}, ${name}` })
    }
    if (problems.length > 0) return yield* wrongFile(file, problems)
  }
  const read: EnvFileVariables = { secrets: [...secrets.values()], plain: [...plain.values()] }
  return read
})

const wrongFile = (file: string, problems: ReadonlyArray<string>) =>
  new CommandError({
    message: `${escapeValue(file)} ${problems.length === 1 ? problems[0] : `has ${problems.length} errors`}`,
    why: problems.length === 1 ? undefined : problems,
    fix: "Correct the file. Nothing was leased",
    code: "data_error",
    exitStatus: exitStatus.failed
  })
