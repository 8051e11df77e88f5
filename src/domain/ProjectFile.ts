/**
 * `.secrets.json`: which secrets a project needs, and in which variables. The schemas define
 * the file; docs/secrets.schema.json is generated from them. A problem is reported with its
 * path and what is expected there. Values are never quoted.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { isTtl, spelledPattern } from "./GoDuration.ts"
import { closestMatch } from "./closestMatch.ts"
import { parseJsonFile } from "./jsonFile.ts"
import { type RouteRequest, routesOf } from "./RouteRequest.ts"
import { envFilePattern, variablePattern, variableProblem } from "./envFile.ts"

/** For editors; `isTtl` checks the range. */
const ttlPattern = new RegExp(spelledPattern, "u")
const ttlMessage = 'must be a positive duration, such as "30m" or "1h30m"'

const named = (description: string) =>
  Schema.String.check(Schema.isMinLength(1, { message: "must not be empty", description }))

const ttl = (description: string) =>
  Schema.String.check(
    Schema.isPattern(ttlPattern, { message: ttlMessage, description }),
    Schema.makeFilter((text: string) => !ttlPattern.test(text) || isTtl(text) || ttlMessage)
  )

const variable = (description: string) =>
  Schema.String.check(
    Schema.isPattern(variablePattern, { message: "must be the name of an environment variable", description })
  )

const here = Schema.optionalKey(Schema.String.annotate({ description: "for editors: the JSON Schema of this file" }))

const Wanted = Schema.Struct({
  name: named("the name of the secret in the store"),
  env_var: variable("the environment variable that gets its value"),
  ttl: Schema.optionalKey(ttl("how long this secret is leased; takes precedence over the ttl of the file"))
})

const texts = (description: string) =>
  Schema.Array(Schema.String.check(Schema.isMinLength(1, { message: "must not be empty" }))).annotate({ description })

/** A route of config.json with limits of the project's own. It cannot say where a credential goes. */
const NarrowedRoute = Schema.Struct({
  route: named("the name of a route in the config.json of the user"),
  methods: Schema.optionalKey(texts("the only methods that the program may use")),
  paths: Schema.optionalKey(texts("globs of the only paths that it may use")),
  deny: Schema.optionalKey(texts("globs of paths that it may not use"))
})

const Route = Schema.Union([named("the name of a route in the config.json of the user"), NarrowedRoute])

const maxClientId = 256

/** A project whose secrets are in the store. */
export const StoreProject = Schema.Struct({
  $schema: here,
  secrets: Schema.optionalKey(Schema.Array(Wanted).annotate({ description: "the secrets that the project needs" })),
  proxy: Schema.optionalKey(
    Schema.Array(Route).annotate({ description: "the routes that its programs use under `secrets exec`" })
  ),
  // A longer one would push what the user is asked about off the screen.
  client_id: Schema.optionalKey(
    named("a part of the client id of the leases, which begins with that of the user").check(
      Schema.isMaxLength(maxClientId, { message: `must have at most ${maxClientId} characters` })
    )
  ),
  ttl: Schema.optionalKey(ttl("how long secrets are leased; by default the default of the daemon"))
}).annotate({ description: "secrets leased from the store" })
export type StoreProject = typeof StoreProject.Type

/** A project whose variables Vercel's own program pulls. */
export const VercelProject = Schema.Struct({
  $schema: here,
  source: Schema.Literal("vercel").annotate({ description: "where the values come from" }),
  project: named("the name or id of the project; its directory must be linked to it"),
  scope: Schema.Literals(["development", "preview", "production"]).annotate({ description: "which environment" }),
  ttl: ttl("how long the env file is valid"),
  required_vars: Schema.optionalKey(
    Schema.Array(variable("a variable that must be present")).annotate({
      description: "the variables that must be present"
    })
  ),
  env_file: Schema.optionalKey(
    Schema.String.check(
      Schema.isPattern(envFilePattern, {
        message: "must be a relative path without ..",
        description: "the file that `secrets env` writes, in the directory of this one or below it (.env.local)"
      })
    )
  )
}).annotate({ description: "variables pulled from Vercel" })
export type VercelProject = typeof VercelProject.Type

export const ProjectFile = Schema.Union([StoreProject, VercelProject])
export type ProjectFile = typeof ProjectFile.Type

const options = { errors: "all" } as const
const decodeStore = Schema.decodeUnknownResult(StoreProject, options)
const decodeVercel = Schema.decodeUnknownResult(VercelProject, options)
const explain = SchemaIssue.makeFormatterStandardSchemaV1()

/** Decodes a project file. Each failure is a path and what is expected there. */
export const readProjectFile = (file: Uint8Array | string): Result.Result<ProjectFile, ReadonlyArray<string>> => {
  const parsed = parseJsonFile(file)
  if ("reason" in parsed) return Result.fail([parsed.reason])
  const { value } = parsed
  if (!isObject(value)) return Result.fail(["the file must be a JSON object"])
  const isVercel = Object.hasOwn(value, "source")
  const decoded: Result.Result<ProjectFile, Schema.SchemaError> = isVercel ? decodeVercel(value) : decodeStore(value)
  const problems = [
    ...unknownKeys(value, isVercel),
    ...(Result.isFailure(decoded)
      ? explain(decoded.failure.issue).issues.map(({ message, path }) => `${placeOf(path ?? [])}: ${inWords(message)}`)
      : wrongNames(decoded.success))
  ]
  return problems.length > 0 || Result.isFailure(decoded) ? Result.fail(problems) : Result.succeed(decoded.success)
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const unknownKeys = (value: object, isVercel: boolean): ReadonlyArray<string> => {
  const members = new Map<string, unknown>(Object.entries(value))
  const inItems = (list: string, known: object) => {
    const items = isVercel ? undefined : members.get(list)
    return Array.isArray(items)
      ? items.flatMap((one: unknown, at) =>
          isObject(one) ? unknownIn(one, Object.keys(known), `${list}[${at}].`) : []
        )
      : []
  }
  const known = Object.keys(isVercel ? VercelProject.fields : StoreProject.fields)
  return [
    ...unknownIn(value, known, ""),
    ...inItems("secrets", Wanted.fields),
    ...inItems("proxy", NarrowedRoute.fields)
  ]
}

const unknownIn = (value: object, known: ReadonlyArray<string>, prefix: string): ReadonlyArray<string> =>
  Object.keys(value)
    .filter((key) => !known.includes(key))
    .map((key) => {
      const meant = closestMatch(key, known)
      const shown = JSON.stringify(key).slice(1, -1)
      return `${prefix}${shown}: unknown key${meant === undefined ? "" : `; did you mean ${meant}?`}`
    })

/** Finds what the schema cannot express: forbidden variables, and what is there twice. */
const wrongNames = (project: ProjectFile): ReadonlyArray<string> => {
  if ("source" in project) return []
  const { proxy, secrets } = project
  if (secrets === undefined && proxy === undefined) return ["secrets: is missing"]
  return [...wrongVariables(secrets ?? []), ...repeatedRoutes(routesOf(project))]
}

const repeatedRoutes = (routes: ReadonlyArray<RouteRequest>): ReadonlyArray<string> =>
  routes.flatMap(({ name }, at) => {
    const earlier = routes.findIndex((other) => other.name === name)
    return earlier < at ? [`proxy[${at}]: ${name} is named by proxy[${earlier}] already`] : []
  })

const wrongVariables = (secrets: ReadonlyArray<typeof Wanted.Type>): ReadonlyArray<string> => {
  const first = new Map<string, number>()
  return secrets.flatMap(({ env_var: name }, at) => {
    const wrong = variableProblem(name)
    if (wrong !== undefined) return [`secrets[${at}].env_var: ${name} ${wrong}`]
    const earlier = first.get(name)
    if (earlier !== undefined) return [`secrets[${at}].env_var: ${name} is used by secrets[${earlier}] already`]
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
