/**
 * secrets env: leases the secrets of a project, and writes them to a file or prints them.
 *
 * All or nothing: if a lease is rejected, nothing is written and the granted leases are
 * revoked. The leases stay active as long as the file is useful; the next run replaces both.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as path from "node:path"
import { counted } from "../../../domain/counted.ts"
import { escapeValue, escapeJson } from "../../../domain/escape.ts"
import type { EnvFileHeader, EnvVariable } from "../../../domain/envFile.ts"
import {
  defaultVercelFile,
  dotenvLines,
  hasEnvFileName,
  renderEnvHeader,
  mayBeExpanded,
  shellLines,
  unsafeForDotenv
} from "../../../domain/envFile.ts"
import { githubMasks } from "../../../domain/githubMasks.ts"
import { formatGoDuration, second } from "../../../domain/GoDuration.ts"
import type { VercelProject } from "../../../domain/ProjectFile.ts"
import { fromMillis } from "../../../domain/Timestamp.ts"
import { sharedTimeout } from "../../../rpc/client/client.ts"
import { type ArgsOf, defineCommand } from "../../command/Command.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError, failUsage, workingDirectory } from "../../command/CommandError.ts"
import { type LeasedSecret, firstExpiry, leaseAll, revokeLeases, variablesOf } from "./leaseAll.ts"
import {
  type RequestedSecrets,
  consentToProject,
  installGracefulShutdown,
  printWarning,
  projectFlags,
  requestedSecrets
} from "./requestedSecrets.ts"
import {
  appendGithub,
  checkEnvFileTarget,
  type EnvFileTarget,
  githubFile,
  warnIfTracked,
  writeEnvFile
} from "./writeEnvFile.ts"
import { endOfWait } from "../requests/awaitAnswer.ts"
import { originOf } from "../../command/leaseOrigin.ts"
import { loadDaemon } from "../../command/settings.ts"

const formats = ["dotenv", "shell", "json", "github"] as const
type Format = (typeof formats)[number]

const flags = {
  ...projectFlags,
  file: { type: "string", value: "PATH", summary: "output file, instead of .env; - prints", completes: "file" },
  format: { type: "string", value: "FORMAT", summary: "dotenv, shell, json or github", completes: formats },
  force: { type: "boolean", summary: "replace a file that secrets did not write" },
  "dry-run": { type: "boolean", summary: "print what would be leased and written, and do neither" }
} as const

export const envCommand = defineCommand({
  name: "env",
  summary: "Write the secrets of a project to its .env file",
  arity: [0, 0],
  flags,
  examples: [
    "secrets env",
    "secrets env --dry-run",
    "secrets env --secret github_token=GH_TOKEN --file -",
    'eval "$(secrets env --format shell)"',
    "secrets env --format shell | source   # in fish"
  ],
  about: [
    "The secrets come from .secrets.json, in the working directory or above it:",
    '  {"secrets": [{"name": "github_token", "env_var": "GH_TOKEN", "ttl": "30m"}]}',
    "Only the owner can read the output file. The formats shell and json are printed; github appends to $GITHUB_ENV.",
    "A project file must be trusted: it asks on a terminal, and otherwise needs secrets allow; --dry-run does not."
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    yield* installGracefulShutdown
    const format = formats.find((one) => one === (args.option("format") ?? "dotenv"))
    if (format === undefined)
      return yield* failUsage(`--format must be one of ${formats.join(", ")}`, "For example: --format shell")
    yield* workingDirectory
    const requested = yield* requestedSecrets(args)
    if (requested.source === "store" && requested.routes.length > 0)
      yield* printWarning("env", "the routes under proxy are for secrets exec, and no file can hold what they need")
    const target = yield* targetOf(args, format, requested)
    if (args.flag("dry-run")) return yield* describePlan(requested, target)
    const plan = planOf(requested, target)
    yield* consentToProject(args, requested, { command: "env", plan, mustBeSeen: isSurprising(requested, target) })
    if (target.kind === "file") yield* checkEnvFileTarget(target)
    if (requested.source === "vercel") {
      const { pullVercel } = yield* Effect.promise(() => import("./pullVercel.ts"))
      const variables = yield* pullVercel("env", requested.vercel, requested.project)
      const until = fromMillis((yield* Clock.currentTimeMillis) + requested.millis)
      return yield* deliver(variables, { source: "vercel", until }, target, format, [])
    }
    const daemon = yield* loadDaemon(args)
    const request = {
      daemon,
      clientId: clientIdOfFile(requested, target),
      secrets: requested.secrets,
      origin: originOf({ via: "env" }, args.option("reason")),
      waitUntil: yield* endOfWait(args.option("approval-wait"))
    }
    const rest = yield* sharedTimeout(daemon)
    const giveBack = (leased: ReadonlyArray<LeasedSecret>) => Effect.flatMap(rest, (left) => revokeLeases(left, leased))
    return yield* Effect.acquireUseRelease(
      leaseAll(request),
      Effect.fnUntraced(function* (leased) {
        const until = firstExpiry(leased) ?? fromMillis(yield* Clock.currentTimeMillis)
        const output = yield* deliver(variablesOf(leased), { source: "store", until }, target, format, leased)
        return target.kind === "file" ? output : { ...output, undo: () => Effect.runPromise(giveBack(leased)) }
      }),
      (leased, exit) => (Exit.isSuccess(exit) ? Effect.void : Effect.asVoid(giveBack(leased)))
    )
  })
})

type Target =
  | ({ readonly kind: "file" } & EnvFileTarget)
  | { readonly kind: "github"; readonly file: string }
  | { readonly kind: "print" }

const targetOf = Effect.fnUntraced(function* (
  args: ArgsOf<typeof flags>,
  format: Format,
  requested: RequestedSecrets
): Effect.fn.Return<Target, CommandError> {
  const [file, force] = [args.option("file"), args.flag("force")]
  if (format === "github") {
    if (file !== undefined) return yield* failUsage("--format github has its own file", "Omit --file")
    // The runner reads the masks from standard output, and no JSON.
    if (args.flag("json")) return yield* failUsage("--format github and --json exclude each other", "Omit --json")
    return { kind: "github", file: yield* githubFile }
  }
  if (file === "-") return { kind: "print" }
  if (file !== undefined) {
    if (format === "json") return yield* failUsage("--format json is only printed", "Redirect it: > FILE")
    return { kind: "file", file: path.resolve(file), force, within: undefined, source: requested.project?.file }
  }
  if (format !== "dotenv") return { kind: "print" }
  const name = requested.source === "vercel" ? envFileOf(requested.vercel) : ".env"
  return { kind: "file", file: path.resolve(requested.directory, name), force, within: requested.project?.directory }
})

const envFileOf = ({ env_file: file = defaultVercelFile }: VercelProject): string => file

/** Returns whether a project file alone chooses an output file whose name is none of an env file. */
const isSurprising = (requested: RequestedSecrets, target: Target): boolean =>
  target.kind === "file" &&
  target.within !== undefined &&
  requested.source === "vercel" &&
  !hasEnvFileName(envFileOf(requested.vercel))

/** Returns one client id per file, so that writing it again replaces its leases. */
const clientIdOfFile = (requested: RequestedSecrets, target: Target): string =>
  requested.source === "vercel"
    ? ""
    : (requested.clientId ?? `${requested.ownClientId}:${target.kind === "file" ? target.file : requested.directory}`)

const deliver = Effect.fnUntraced(function* (
  variables: ReadonlyArray<EnvVariable>,
  header: EnvFileHeader,
  target: Target,
  format: Format,
  leased: ReadonlyArray<LeasedSecret>
) {
  if (format === "dotenv") yield* checkValues(variables, unsafeForDotenv)
  else if (format !== "json") yield* checkValues(variables, rejectNul)
  const body = { dotenv: dotenvLines, shell: shellLines, json: asJson, github: maskCommands }[format](variables)
  const result = {
    format,
    source: header.source,
    expires_at: header.until.text,
    variables: variables.map(({ name }) => ({ env_var: name, ...leaseOf(leased, name) })),
    ...(target.kind === "print"
      ? { values: Object.fromEntries(variables.map(({ name, value }) => [name, value])) }
      : { file: target.file })
  }
  if (format === "dotenv") yield* warnAboutExpansion(variables)
  if (target.kind === "print") return { verbatim: format === "json" ? body : renderEnvHeader(header) + body, result }
  if (target.kind === "github") {
    yield* warnOfShort(variables)
    yield* appendGithub(target.file, variables)
    return { verbatim: body, result }
  }
  yield* writeEnvFile(target, renderEnvHeader(header) + body)
  yield* warnIfTracked("env", target.file)
  const count = counted(variables.length, "variable")
  const left = Math.round((header.until.millis - (yield* Clock.currentTimeMillis)) / 1_000)
  const duration = formatGoDuration(BigInt(left) * second)
  return { lines: [`wrote ${count} to ${escapeValue(target.file)}, valid for ${duration}`], result }
})

const warnAboutExpansion = (variables: ReadonlyArray<EnvVariable>): Effect.Effect<void> => {
  const names = variables.filter(({ value }) => mayBeExpanded(value)).map(({ name }) => name)
  return names.length === 0
    ? Effect.void
    : printWarning("env", `Next.js, Vite and python-dotenv expand a $, which changes: ${names.join(", ")}`)
}

const maskCommands = (variables: ReadonlyArray<EnvVariable>): string => githubMasks(variables).commands

const warnOfShort = (variables: ReadonlyArray<EnvVariable>): Effect.Effect<void> => {
  const { unmasked } = githubMasks(variables)
  return unmasked.length === 0
    ? Effect.void
    : printWarning("env", `too short to be masked in the log of the job: ${unmasked.join(", ")}`)
}

const leaseOf = (leased: ReadonlyArray<LeasedSecret>, name: string): object => {
  const lease = leased.find(({ variable }) => variable === name)
  return lease === undefined ? {} : { secret_name: lease.secret, lease_id: lease.leaseId, expires_at: lease.expiresAt }
}

const asJson = (variables: ReadonlyArray<EnvVariable>): string =>
  `${escapeJson(JSON.stringify(Object.fromEntries(variables.map(({ name, value }) => [name, value])), undefined, 2))}\n`

const rejectNul = (value: string): string | undefined => (value.includes("\0") ? "it contains a NUL byte" : undefined)

const checkValues = (
  variables: ReadonlyArray<EnvVariable>,
  reject: (value: string) => string | undefined
): Effect.Effect<void, CommandError> => {
  const rejected = variables.flatMap(({ name, value }) => {
    const reason = reject(value)
    return reason === undefined ? [] : [`${name}: ${reason}`]
  })
  return rejected.length === 0
    ? Effect.void
    : Effect.fail(
        new CommandError({
          message: "nothing was written: this format cannot hold a value",
          why: rejected,
          fix: "Print it with --format json, or run the program with secrets exec",
          code: "data_error",
          exitStatus: exitStatus.failed
        })
      )
}

const whereOf = (target: Target): string => (target.kind === "print" ? "standard output" : target.file)

const planOf = (requested: RequestedSecrets, target: Target) =>
  Effect.map(
    Effect.promise(() => import("./plan.ts")),
    ({ planLines }) => planLines(requested, clientIdOfFile(requested, target), ["write", whereOf(target)])
  )

const describePlan = Effect.fnUntraced(function* (requested: RequestedSecrets, target: Target) {
  const where = whereOf(target)
  const clientId = clientIdOfFile(requested, target)
  const lines = yield* planOf(requested, target)
  if (requested.source === "vercel") {
    const { project, required_vars: required, scope } = requested.vercel
    return {
      lines,
      result: { dry_run: true, source: "vercel", project, scope, required_vars: required ?? [], target: where }
    }
  }
  return {
    lines,
    result: {
      dry_run: true,
      source: "store",
      client_id: clientId,
      target: where,
      variables: requested.secrets.map(({ secret, ttl, variable }) => ({ env_var: variable, secret_name: secret, ttl }))
    }
  }
})
