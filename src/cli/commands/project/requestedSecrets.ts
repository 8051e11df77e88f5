/**
 * The common part of `env` and `exec`: flags, the secrets that the flags or the project file
 * name, warnings, and a graceful exit on signals.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { inGoUnits, ttlProblem } from "../../../domain/spelledDuration.ts"
import { printNotice } from "../../command/Output.ts"
import { quote } from "../../../domain/goText.ts"
import { isTtl, parseSpelledDuration, toMillis } from "../../../domain/GoDuration.ts"
import type { VercelProject } from "../../../domain/ProjectFile.ts"
import { type RouteRequest, routesOf } from "../../../domain/RouteRequest.ts"
import { variableFor, variablePattern, variableProblem } from "../../../domain/envFile.ts"
import type { ArgsOf, Flags } from "../../command/Command.ts"
import { CommandError, failUsage, workingDirectory } from "../../command/CommandError.ts"
import { approvalWaitError, approvalWaitFlag, reasonFlag } from "../../command/leaseOrigin.ts"
import { loadClientId } from "../../command/settings.ts"
import type { ConsentRequest } from "./consent.ts"
import type { Project } from "./findProject.ts"

export const projectFlags = {
  secret: {
    type: "string",
    value: "NAME[=VAR]",
    summary: "a secret and its variable, instead of the project file; may be repeated",
    completes: "secret"
  },
  project: {
    type: "string",
    value: "PATH",
    summary: "the project file, instead of the nearest .secrets.json",
    completes: "file"
  },
  ttl: { type: "string", value: "DURATION", summary: "TTL of the leases; takes precedence over the project file" },
  "client-id": { type: "string", value: "ID", summary: "client id of the leases" },
  reason: reasonFlag,
  "approval-wait": approvalWaitFlag
} as const satisfies Flags

export interface RequestedSecret {
  readonly secret: string
  readonly variable: string
  /** In Go's units; empty for the default TTL. */
  readonly ttl: string
  /** The member of the value, which is JSON; the whole value if undefined. */
  readonly member?: string | undefined
  /** Where a file refers to it. */
  readonly place?: string
}

export type RequestedSecrets =
  | {
      readonly source: "store"
      readonly secrets: ReadonlyArray<RequestedSecret>
      /** What the program uses and does not get. */
      readonly routes: ReadonlyArray<RouteRequest>
      /** Of --client-id. */
      readonly clientId: string | undefined
      /** What other client ids begin with: the user's own, with that of the project file as a part of it. */
      readonly ownClientId: string
      readonly directory: string
      /** Undefined for --secret. */
      readonly project: Project | undefined
    }
  | {
      readonly source: "vercel"
      readonly vercel: VercelProject
      /** How long the values may be kept. */
      readonly millis: number
      readonly directory: string
      readonly project: Project
    }

export const requestedSecrets = Effect.fnUntraced(function* (
  args: ArgsOf<typeof projectFlags>,
  /** Of env files and of --proxy; they replace the project file, as --secret does. */
  more: {
    readonly secrets?: ReadonlyArray<RequestedSecret> | undefined
    readonly routes?: ReadonlyArray<RouteRequest> | undefined
  } = {}
): Effect.fn.Return<RequestedSecrets, CommandError> {
  const ttl = args.option("ttl")
  const wrongTtl = ttl === undefined || isTtl(ttl) ? undefined : (ttlProblem(ttl) ?? "--ttl must be a duration")
  if (wrongTtl !== undefined) return yield* failUsage(wrongTtl, "For example: --ttl 30m")
  const wrongWait = approvalWaitError(args.option("approval-wait"))
  if (wrongWait !== undefined) return yield* new CommandError(wrongWait)
  const clientId = args.option("client-id")
  const named = args.options("secret")
  const projectPath = args.option("project")
  // Only a search, and a file of `env`, need it.
  const { routes = [] } = more
  const isNamed = named.length > 0 || more.secrets !== undefined || routes.length > 0
  const directory = yield* isNamed || projectPath !== undefined
    ? Effect.orElseSucceed(workingDirectory, () => "/")
    : workingDirectory
  if (isNamed) {
    const own = yield* Effect.forEach(named, (word) => secretOf(word, inGoUnits(ttl ?? "")))
    const secrets = [...own, ...(more.secrets ?? [])]
    const duplicate = secrets.find(({ variable }, at) => secrets.findIndex((other) => other.variable === variable) < at)
    if (duplicate !== undefined)
      return yield* failUsage(
        `two secrets for the variable ${duplicate.variable}`,
        "Give each its own variable: NAME=VAR"
      )
    const ownClientId = yield* loadClientId(args)
    return { source: "store", secrets, routes, clientId, ownClientId, directory, project: undefined }
  }
  const { findProject } = yield* Effect.promise(() => import("./findProject.ts"))
  const project = yield* findProject(directory, projectPath)
  const { content } = project
  if ("source" in content) {
    return {
      source: "vercel",
      vercel: content,
      millis: millisOf(ttl ?? content.ttl),
      directory: project.directory,
      project
    }
  }
  const { projectClientId } = yield* Effect.promise(() => import("../../../domain/ProjectTrust.ts"))
  return {
    source: "store",
    secrets: (content.secrets ?? []).map((one) => ({
      secret: one.name,
      variable: one.env_var,
      ttl: inGoUnits(ttl ?? one.ttl ?? content.ttl ?? "")
    })),
    routes: routesOf(content),
    clientId,
    ownClientId: projectClientId(yield* loadClientId(args), content.client_id),
    directory: project.directory,
    project
  }
})

/** Fails unless the user consents to the project file, where the secrets come from one. */
export const consentToProject = Effect.fnUntraced(function* (
  args: ArgsOf<typeof projectFlags>,
  { project }: RequestedSecrets,
  request: Pick<ConsentRequest, "command" | "plan" | "mustBeSeen">
) {
  if (project === undefined) return
  const { requireConsent } = yield* Effect.promise(() => import("./consent.ts"))
  yield* requireConsent({ ...request, args, project, named: args.option("project") })
})

/** Splits at the last equals sign: a name may contain one, a variable cannot. */
const secretOf = (word: string, ttl: string) => {
  const at = word.lastIndexOf("=")
  const variable = word.slice(at + 1)
  const secret =
    at > 0 ? { secret: word.slice(0, at), variable, ttl } : { secret: word, variable: variableFor(word), ttl }
  if (word === "" || at === 0) return failUsage("--secret has no name", "For example: --secret github_token=GH_TOKEN")
  const wrong = variableProblem(secret.variable)
  if (wrong === undefined) return Effect.succeed(secret)
  const shown = variablePattern.test(secret.variable) ? secret.variable : quote(secret.variable)
  return failUsage(`the variable ${shown} ${wrong}`, `Choose another: --secret ${quote(secret.secret)}=VAR`)
}

/** Returns 0 for an invalid duration. */
const millisOf = (ttl: string): number => {
  const duration = parseSpelledDuration(ttl)
  return Result.isSuccess(duration) ? toMillis(duration.success) : 0
}

/** Converts fatal signals to SIGTERM, so that leases are revoked on exit. Runs before there are any. */
export const installGracefulShutdown = Effect.sync(() => {
  for (const name of ["SIGHUP", "SIGQUIT"] as const) process.on(name, () => process.kill(process.pid, "SIGTERM"))
  process.on("SIGUSR2", () => undefined)
})

export const printWarning = (command: string, text: string): Effect.Effect<void> =>
  Effect.sync(() => printNotice(`secrets ${command}: warning: ${text}`))
