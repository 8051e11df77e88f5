/**
 * secrets env: what a project needs, leased and written to a file that other
 * programs read, or printed for a shell.
 *
 * All of it or nothing: where one lease is refused nothing is written, and those that
 * were granted are revoked. The leases go on after this has ended, as the file does;
 * the next run replaces both.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as path from "node:path"
import type { EnvFileHeader, EnvVariable } from "../../../domain/envFile.ts"
import {
  dotenvLines,
  githubMasks,
  renderEnvHeader,
  mayBeExpanded,
  shellLines,
  unsafeForDotenv
} from "../../../domain/envFile.ts"
import { formatGoDuration, second } from "../../../domain/GoDuration.ts"
import type { Timestamp } from "../../../domain/Timestamp.ts"
import { fromMillis, parseTimestamp } from "../../../domain/Timestamp.ts"
import type { DaemonAddress } from "../../../rpc/client/client.ts"
import type { ArgsOf } from "../../command/Command.ts"
import { defineCommand } from "../../command/Command.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
import { hostName } from "../lease.ts"
import { installGracefulShutdown } from "./gracefulShutdown.ts"
import { appendGithub, githubFile } from "./githubEnv.ts"
import type { LeasedSecret } from "./leaseAll.ts"
import { leaseAll, revokeLeases } from "./leaseAll.ts"
import type { RequestedSecrets } from "./requestedSecrets.ts"
import { projectFlags } from "./projectFlags.ts"
import { printWarning } from "./printWarning.ts"
import { checkEnvFileTarget, warnIfTracked, writeEnvFile } from "./writeEnvFile.ts"
import { loadDaemon } from "../../command/settings.ts"
import { table } from "../../terminal/table.ts"

const formats = ["dotenv", "shell", "json", "github"] as const
type Format = (typeof formats)[number]

const flags = {
  ...projectFlags,
  file: { type: "string", value: "PATH", summary: "where to, instead of .env; - prints it", completes: "file" },
  format: { type: "string", value: "FORMAT", summary: "dotenv, shell, json or github", completes: formats },
  force: { type: "boolean", summary: "replace a file that secrets did not write" },
  "dry-run": { type: "boolean", summary: "tell what would be leased and written, and do neither" }
} as const

export const envCommand = defineCommand({
  name: "env",
  summary: "Write what a project needs to its .env file",
  arity: [0, 0],
  flags,
  examples: [
    "secrets env",
    "secrets env --dry-run",
    "secrets env --secret github_token=GH_TOKEN --file -",
    'eval "$(secrets env --format shell)"'
  ],
  about: [
    "What is needed stands in .secrets.json, in the working directory or above it:",
    '  {"secrets": [{"name": "github_token", "env_var": "GH_TOKEN", "ttl": "30m"}]}',
    "The file is readable to its owner alone. The formats shell and json are printed; github adds to $GITHUB_ENV."
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    yield* installGracefulShutdown
    const format = formats.find((one) => one === (args.option("format") ?? "dotenv"))
    if (format === undefined)
      return yield* failUsage(`--format must be one of ${formats.join(", ")}`, "For instance: --format shell")
    const { requestedSecrets } = yield* Effect.promise(() => import("./requestedSecrets.ts"))
    const wanted = yield* requestedSecrets(args)
    const target = yield* targetOf(args, format, wanted)
    if (args.flag("dry-run")) return foretold(wanted, target)
    if (target.kind === "file") yield* checkEnvFileTarget(target.file, target.force)
    if (wanted.source === "vercel") {
      const { pullVercel } = yield* Effect.promise(() => import("./pullVercel.ts"))
      const variables = yield* pullVercel("env", wanted.vercel, wanted.directory)
      const until = fromMillis((yield* Clock.currentTimeMillis) + wanted.millis)
      return yield* deliver(variables, { source: "vercel", until }, target, format, [])
    }
    const daemon = yield* loadDaemon(args)
    return yield* Effect.acquireUseRelease(
      leaseAll(daemon, clientOf(wanted, target), wanted.secrets),
      (leased) => deliverLeased(leased, target, format),
      (leased, exit) => (Exit.isSuccess(exit) ? Effect.void : takeBack(daemon, leased))
    )
  })
})

const takeBack = (daemon: DaemonAddress, leased: ReadonlyArray<LeasedSecret>) =>
  Effect.asVoid(revokeLeases(daemon, leased))

type Target =
  /** With `force` it may replace what secrets did not write. */
  | { readonly kind: "file"; readonly file: string; readonly force: boolean }
  | { readonly kind: "github"; readonly file: string }
  | { readonly kind: "print" }

const targetOf = Effect.fnUntraced(function* (args: ArgsOf<typeof flags>, format: Format, wanted: RequestedSecrets) {
  const [given, force] = [args.option("file"), args.flag("force")]
  if (format === "github") {
    if (given !== undefined) return yield* failUsage("--format github has its own file", "Leave --file out")
    // The runner must see the masks on standard output, and reads no envelope.
    if (args.flag("json")) return yield* failUsage("--format github and --json do not go together", "Leave --json out")
    return target({ kind: "github", file: yield* githubFile })
  }
  if (given === "-") return target({ kind: "print" })
  if (given !== undefined) {
    if (format === "json")
      return yield* failUsage("--format json is printed only", "Send it where it is wanted: > FILE")
    return target({ kind: "file", file: path.resolve(given), force })
  }
  if (format !== "dotenv") return target({ kind: "print" })
  const name = wanted.source === "vercel" ? (wanted.vercel.env_file ?? ".env.local") : ".env"
  return target({ kind: "file", file: path.resolve(wanted.directory, name), force })
})

const target = (one: Target): Target => one

/** One file has one holder of leases, so that writing it anew replaces what it held. */
const clientOf = (wanted: Extract<RequestedSecrets, { source: "store" }>, target: Target): string =>
  wanted.clientId ?? `${hostName()}:${target.kind === "file" ? target.file : wanted.directory}`

const deliverLeased = Effect.fnUntraced(function* (
  leased: ReadonlyArray<LeasedSecret>,
  target: Target,
  format: Format
) {
  const variables = leased.map(({ value, variable }) => ({ name: variable, value: Redacted.value(value) }))
  const ends = leased.flatMap(({ expiresAt }) => Option.toArray(parseTimestamp(expiresAt)))
  const first = ends.reduce<Timestamp | undefined>(
    (earliest, end) => (earliest === undefined || end.millis < earliest.millis ? end : earliest),
    undefined
  )
  const until = first ?? fromMillis(yield* Clock.currentTimeMillis)
  return yield* deliver(variables, { source: "store", until }, target, format, leased)
})

const deliver = Effect.fnUntraced(function* (
  variables: ReadonlyArray<EnvVariable>,
  management: EnvFileHeader,
  target: Target,
  format: Format,
  leased: ReadonlyArray<LeasedSecret>
) {
  if (format === "dotenv") yield* checkValues(variables, unsafeForDotenv)
  else if (format !== "json") yield* checkValues(variables, unfitAnywhere)
  const body = { dotenv: dotenvLines, shell: shellLines, json: asJson, github: githubMasks }[format](variables)
  const result = {
    format,
    source: management.source,
    expires_at: management.until.text,
    variables: variables.map(({ name }) => ({ env_var: name, ...leaseOf(leased, name) })),
    ...(target.kind === "print"
      ? { values: Object.fromEntries(variables.map(({ name, value }) => [name, value])) }
      : { file: target.file })
  }
  if (format === "dotenv") yield* warnOfExpansion(variables)
  if (target.kind === "print") return { text: format === "json" ? body : renderEnvHeader(management) + body, result }
  if (target.kind === "github") {
    yield* appendGithub(target.file, variables)
    return { text: body, result }
  }
  yield* writeEnvFile(target.file, renderEnvHeader(management) + body, target.force)
  yield* warnIfTracked(target.file)
  const many = `${variables.length} variable${variables.length === 1 ? "" : "s"}`
  const left = Math.round((management.until.millis - (yield* Clock.currentTimeMillis)) / 1_000)
  return { text: `wrote ${many} to ${target.file}, good for ${formatGoDuration(BigInt(left) * second)}\n`, result }
})

const warnOfExpansion = (variables: ReadonlyArray<EnvVariable>): Effect.Effect<void> => {
  const names = variables.filter(({ value }) => mayBeExpanded(value)).map(({ name }) => name)
  return names.length === 0
    ? Effect.void
    : printWarning(
        "env",
        `Next.js, Vite and python-dotenv put variables in for a $, and so change: ${names.join(", ")}`
      )
}

const leaseOf = (leased: ReadonlyArray<LeasedSecret>, name: string): object => {
  const lease = leased.find(({ variable }) => variable === name)
  return lease === undefined ? {} : { secret_name: lease.secret, lease_id: lease.leaseId, expires_at: lease.expiresAt }
}

const asJson = (variables: ReadonlyArray<EnvVariable>): string =>
  `${JSON.stringify(Object.fromEntries(variables.map(({ name, value }) => [name, value])), undefined, 2)}\n`

const unfitAnywhere = (value: string): string | undefined => (value.includes("\0") ? "it holds a NUL byte" : undefined)

const checkValues = (
  variables: ReadonlyArray<EnvVariable>,
  unfit: (value: string) => string | undefined
): Effect.Effect<void, CommandError> => {
  const wrong = variables.flatMap(({ name, value }) => {
    const reason = unfit(value)
    return reason === undefined ? [] : [`${name}: ${reason}`]
  })
  return wrong.length === 0
    ? Effect.void
    : Effect.fail(
        new CommandError({
          message: "nothing was written, because a value cannot stand in such a file",
          why: wrong.join("\n  "),
          fix: "Print it with --format json, or give it to a program with secrets exec",
          code: "data_error",
          exitStatus: exitStatus.failed
        })
      )
}

const foretold = (wanted: RequestedSecrets, target: Target) => {
  const where = target.kind === "print" ? "standard output" : target.file
  if (wanted.source === "vercel") {
    const { project, required_vars: required, scope } = wanted.vercel
    return {
      text: `would pull ${scope} of ${project} from Vercel and write it to ${where}\n`,
      result: { dry_run: true, source: "vercel", project, scope, required_vars: required ?? [], target: where }
    }
  }
  const clientId = clientOf(wanted, target)
  const rows = wanted.secrets.map(({ secret, ttl, variable }) => [variable, secret, ttl || "default"])
  return {
    text: `${table(["VARIABLE", "SECRET", "TTL"], rows)}would be leased by ${clientId} and written to ${where}\n`,
    result: {
      dry_run: true,
      source: "store",
      client_id: clientId,
      target: where,
      variables: wanted.secrets.map(({ secret, ttl, variable }) => ({ env_var: variable, secret_name: secret, ttl }))
    }
  }
}
