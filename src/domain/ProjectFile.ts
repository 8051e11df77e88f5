/**
 * `.secrets.json`: which secrets a project needs, and in which variables.
 *
 * The schemas are the form of the file, and docs/secrets.schema.json is made from
 * them. What is wrong is told with the place in the file and what is expected
 * there; what stands in the file is not quoted, but for the names of its keys.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { isTtl } from "./GoDuration.ts"
import { closestMatch } from "./closestMatch.ts"
import { variablePattern, variableProblem } from "./variable.ts"

export const projectFileName = ".secrets.json"

/** The shape of a duration, for editors; whether it is above 0 is asked beside it. */
const ttlPattern = /^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$/u
const ttlMessage = 'must be a duration above 0, such as "30m" or "1h30m"'

const named = (description: string) =>
  Schema.String.check(Schema.isMinLength(1, { message: "must not be empty", description }))

const ttl = (description: string) =>
  Schema.String.check(
    Schema.isPattern(ttlPattern, { message: ttlMessage, description }),
    Schema.makeFilter((text: string) => !ttlPattern.test(text) || isTtl(text) || ttlMessage)
  )

const variable = (description: string) =>
  Schema.String.check(Schema.isPattern(variablePattern, { message: "must be the name of a variable", description }))

const here = Schema.optionalKey(
  Schema.String.annotate({ description: "for editors: where the schema of this file is" })
)

const Wanted = Schema.Struct({
  name: named("the secret, as it is called in the store"),
  env_var: variable("the variable that gets its value"),
  ttl: Schema.optionalKey(ttl("how long this one is leased; over the ttl of the file"))
})

/** Secrets of the store. */
export const StoreProject = Schema.Struct({
  $schema: here,
  secrets: Schema.Array(Wanted).annotate({ description: "the secrets that the project needs" }),
  client_id: Schema.optionalKey(named("who leases; the host name and the project if it is left out")),
  ttl: Schema.optionalKey(ttl("how long secrets are leased; the daemon's default if it is left out"))
}).annotate({ description: "secrets leased from the store" })
export type StoreProject = typeof StoreProject.Type

/** Variables of a project at Vercel, by way of its own program. */
export const VercelProject = Schema.Struct({
  $schema: here,
  source: Schema.Literal("vercel").annotate({ description: "where the values come from" }),
  project: named("the name or id of the project; its directory must be linked to it"),
  scope: Schema.Literals(["development", "preview", "production"]).annotate({ description: "which environment" }),
  ttl: ttl("how long the env file is to be kept"),
  required_vars: Schema.optionalKey(
    Schema.Array(variable("a variable that must be there")).annotate({ description: "what must be among them" })
  ),
  env_file: Schema.optionalKey(named("the file that `secrets env` writes, from here (.env.local)"))
}).annotate({ description: "variables pulled from Vercel" })
export type VercelProject = typeof VercelProject.Type

export const ProjectFile = Schema.Union([StoreProject, VercelProject])
export type ProjectFile = typeof ProjectFile.Type

const options = { errors: "all" } as const
const decodeStore = Schema.decodeUnknownResult(StoreProject, options)
const decodeVercel = Schema.decodeUnknownResult(VercelProject, options)
const explain = SchemaIssue.makeFormatterStandardSchemaV1()

/** Reads the text of a project file; the failures are what is wrong, one a line: the place and what is expected. */
export const readProjectFile = (text: string): Result.Result<ProjectFile, ReadonlyArray<string>> => {
  const parsed = Result.try({ try: (): unknown => JSON.parse(text), catch: () => ["it is not JSON"] })
  if (Result.isFailure(parsed)) return Result.fail(parsed.failure)
  const value = parsed.success
  if (!isObject(value)) return Result.fail(["it must hold a JSON object"])
  const fromElsewhere = Object.hasOwn(value, "source")
  const decoded: Result.Result<ProjectFile, Schema.SchemaError> = fromElsewhere
    ? decodeVercel(value)
    : decodeStore(value)
  const problems = [
    ...unknownKeys(value, fromElsewhere),
    ...(Result.isFailure(decoded)
      ? explain(decoded.failure.issue).issues.map(({ message, path }) => `${placeOf(path ?? [])}: ${inWords(message)}`)
      : wrongNames(decoded.success))
  ]
  return problems.length > 0 || Result.isFailure(decoded) ? Result.fail(problems) : Result.succeed(decoded.success)
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const unknownKeys = (value: object, fromElsewhere: boolean): ReadonlyArray<string> => {
  const members = new Map<string, unknown>(Object.entries(value))
  const secrets = members.get("secrets")
  const inSecrets =
    !fromElsewhere && Array.isArray(secrets)
      ? secrets.flatMap((one: unknown, at) =>
          isObject(one) ? unknownIn(one, Object.keys(Wanted.fields), `secrets[${at}].`) : []
        )
      : []
  const known = Object.keys(fromElsewhere ? VercelProject.fields : StoreProject.fields)
  return [...unknownIn(value, known, ""), ...inSecrets]
}

const unknownIn = (value: object, known: ReadonlyArray<string>, prefix: string): ReadonlyArray<string> =>
  Object.keys(value)
    .filter((key) => !known.includes(key))
    .map((key) => {
      const meant = closestMatch(key, known)
      const shown = JSON.stringify(key).slice(1, -1)
      return `${prefix}${shown}: there is no such key${meant === undefined ? "" : `; is ${meant} meant?`}`
    })

/** What a schema cannot say: variables that may not be set, and two secrets for one variable. */
const wrongNames = (project: ProjectFile): ReadonlyArray<string> => {
  if ("source" in project) return []
  const first = new Map<string, number>()
  return project.secrets.flatMap(({ env_var: name }, at) => {
    const wrong = variableProblem(name)
    if (wrong !== undefined) return [`secrets[${at}].env_var: ${name} ${wrong}`]
    const earlier = first.get(name)
    if (earlier !== undefined) return [`secrets[${at}].env_var: secrets[${earlier}] has ${name} already`]
    first.set(name, at)
    return []
  })
}

const placeOf = (path: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }>): string => {
  const keys = path.map((step) => (typeof step === "object" ? step.key : step))
  return keys.map((key, at) => (typeof key === "number" ? `[${key}]` : `${at > 0 ? "." : ""}${String(key)}`)).join("")
}

const inWords = (message: string): string =>
  message === "Missing key"
    ? "is missing"
    : message.replace(/^Expected (.*)$/s, "must be $1").replaceAll('" | "', '" or "')
