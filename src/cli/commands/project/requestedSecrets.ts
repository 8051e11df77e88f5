/**
 * What `env` and `exec` are to get: the secrets named on the line, else those of the
 * project file.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { quote } from "../../../domain/goText.ts"
import { isTtl, parseDuration, toMillis } from "../../../domain/GoDuration.ts"
import type { VercelProject } from "../../../domain/ProjectFile.ts"
import { variableFor, variablePattern, variableProblem } from "../../../domain/variable.ts"
import type { ArgsOf } from "../../command/Command.ts"
import { failUsage } from "../../command/CommandError.ts"
import type { projectFlags } from "./projectFlags.ts"

export interface RequestedSecret {
  readonly secret: string
  readonly variable: string
  /** Empty for the daemon's default. */
  readonly ttl: string
}

/** From the store, or from elsewhere. */
export type RequestedSecrets =
  | {
      readonly source: "store"
      readonly secrets: ReadonlyArray<RequestedSecret>
      /** Who leases, if the line or the file says it. */
      readonly clientId: string | undefined
      /** Whether it was said on the line. */
      readonly clientIsGiven: boolean
      readonly directory: string
    }
  | {
      readonly source: "vercel"
      readonly vercel: VercelProject
      /** How long the values are to be kept. */
      readonly millis: number
      readonly directory: string
    }

export const requestedSecrets = Effect.fnUntraced(function* (args: ArgsOf<typeof projectFlags>) {
  const ttl = args.option("ttl")
  if (ttl !== undefined && !isTtl(ttl))
    return yield* failUsage("--ttl must be a duration above 0", "For instance: --ttl 30m")
  const clientId = args.option("client-id")
  if (clientId === "") return yield* failUsage("--client-id cannot be empty", "Leave it out, or name who leases")
  const directory = process.cwd()
  const onLine = args.options("secret")
  if (onLine.length > 0) {
    const secrets = yield* Effect.forEach(onLine, (word) => secretOf(word, ttl ?? ""))
    const twice = secrets.find(({ variable }, at) => secrets.findIndex((other) => other.variable === variable) < at)
    if (twice !== undefined)
      return yield* failUsage(`${twice.variable} is to hold two secrets`, "Give each a variable of its own: NAME=VAR")
    return wanted({ source: "store", secrets, clientId, clientIsGiven: clientId !== undefined, directory })
  }
  const { findProject } = yield* Effect.promise(() => import("./findProject.ts"))
  const project = yield* findProject(directory, args.option("project"))
  const { content } = project
  if ("source" in content) {
    return wanted({
      source: "vercel",
      vercel: content,
      millis: millisOf(ttl ?? content.ttl),
      directory: project.directory
    })
  }
  return wanted({
    source: "store",
    secrets: content.secrets.map((one) => ({
      secret: one.name,
      variable: one.env_var,
      ttl: ttl ?? one.ttl ?? content.ttl ?? ""
    })),
    clientId: clientId ?? content.client_id,
    clientIsGiven: clientId !== undefined,
    directory: project.directory
  })
})

const wanted = (all: RequestedSecrets): RequestedSecrets => all

/** Names may hold anything; a variable cannot, so the last equals sign is the one. */
const secretOf = (word: string, ttl: string) => {
  const at = word.lastIndexOf("=")
  const variable = word.slice(at + 1)
  const secret =
    at > 0 ? { secret: word.slice(0, at), variable, ttl } : { secret: word, variable: variableFor(word), ttl }
  if (word === "" || at === 0)
    return failUsage("--secret names no secret", "For instance: --secret github_token=GH_TOKEN")
  const wrong = variableProblem(secret.variable)
  if (wrong === undefined) return Effect.succeed(secret)
  const shown = variablePattern.test(secret.variable) ? secret.variable : quote(secret.variable)
  return failUsage(`the variable ${shown} ${wrong}`, `Name another: --secret ${quote(secret.secret)}=VAR`)
}

/** 0 for what is no duration. */
const millisOf = (ttl: string): number => {
  const duration = parseDuration(ttl)
  return Result.isSuccess(duration) ? toMillis(duration.success) : 0
}
