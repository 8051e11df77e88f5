/**
 * secrets exec: runs a program with secrets in its environment.
 *
 * Nothing is written to disk. The daemon knows of the program while it runs, and this process
 * ends it when a secret of it is revoked. The leases end with the program, and its exit status is returned.
 * If this process is killed, the leases expire.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import type { EnvVariable } from "../../../domain/envFile.ts"
import { countMaskable, makeMaskers, minMaskedLength } from "../../../domain/Masker.ts"
import { inGoUnits } from "../../../domain/spelledDuration.ts"
import { encodedVariantsOfAll } from "../../../domain/variants.ts"
import { type ArgsOf, defineCommand, type Flags, unlimited } from "../../command/Command.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
import { checkVariables, firstExpiry, variablesOf } from "./leaseAll.ts"
import { maskOutput } from "./maskOutput.ts"
import { hasInterpreter, isExecutableFile, programPath } from "../../../process/programPath.ts"
import type { ParentChannel } from "./parentChannel.ts"
import { type ChildOptions, runChild } from "./runChild.ts"
import {
  type RequestedSecrets,
  consentToProject,
  installGracefulShutdown,
  printWarning,
  projectFlags,
  requestedSecrets
} from "./requestedSecrets.ts"
import type { StartedProxy } from "./proxy/startProxy.ts"
import { endOfWait } from "../requests/awaitAnswer.ts"
import { originOf } from "../../command/leaseOrigin.ts"
import { reactionFlags, readRules, rejectUnwatched, watchingFlags } from "./run/reactions.ts"
import { startRun, finishRun, type LeasedRun, type RunEnd } from "./run/registerRun.ts"
import { runSupervised, type StartProgram } from "./run/runSupervised.ts"
import { takeInherited } from "./takeInherited.ts"
import { loadDaemon } from "../../command/settings.ts"

const flags = {
  ...projectFlags,
  "env-file": {
    type: "string",
    value: "PATH",
    summary: "a dotenv file whose values may be secret://NAME, instead of the project file; may be repeated",
    completes: "file"
  },
  proxy: {
    type: "string",
    value: "ROUTES",
    summary: "routes of config.json, with commas: it uses their secrets and does not get them; may be repeated",
    completes: "routes"
  },
  mask: { type: "boolean", summary: "replace values by *** in its output" },
  ...reactionFlags,
  // The way of the values that a process of ours takes, as `mcp`. It is at the other end of a channel.
  parent: { type: "string" }
} as const satisfies Flags

export const execCommand = defineCommand({
  name: "exec",
  summary: "Run a program with secrets in its environment",
  positionals: "[--] COMMAND [ARGS]",
  arity: [1, unlimited],
  runsProgram: true,
  flags,
  examples: [
    "secrets exec -- npm start",
    "secrets exec --secret github_token=GH_TOKEN --ttl 10m -- gh pr list",
    "secrets exec --proxy github,openai -- agent",
    "secrets exec --mask -- terraform plan",
    "secrets exec --watch --kill-timeout 30s -- ./server"
  ],
  about: [
    "The secrets come from .secrets.json, in the working directory or above it, or from --secret, --env-file and --proxy.",
    "A line of an env file is VAR=secret://NAME, or VAR=secret://NAME#member for a member of a value that is JSON.",
    "A project file must be trusted: it asks on a terminal, and otherwise needs secrets allow.",
    "The exit status is the program's: 128 plus the signal number if a signal ended it, 127 if it was not found.",
    "It gets our terminal, signals and open descriptors. After a SIGKILL of exec it goes on, and its leases last until they expire.",
    "A revoke, the killswitch, a lock or a delete of one of its secrets ends it: --on-revoke says how.",
    "With --proxy a worker of the daemon adds the secret to its requests. docs/proxy.md says how each client is set up.",
    "With --mask it writes to pipes, not to a terminal. What it leaves running can write to them for 0.2 s after its exit."
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    yield* installGracefulShutdown
    const inherited = yield* takeInherited
    const [command = "", ...programArgs] = args.positionals
    const via = args.option("parent")
    const parent = via === undefined ? undefined : yield* loadParent
    const descriptors = inherited.descriptors.filter((fd) => parent?.mayInherit(fd) ?? true)
    const files = yield* envFilesOf(args)
    const program = { command, args: programArgs, ...inherited, descriptors, parent, plain: files?.plain ?? [] }
    const rules = yield* readRules(args)
    const requested = yield* requestedSecrets(args, { secrets: files?.secrets, routes: yield* routesOfFlag(args) })
    const masked = args.flag("mask")
    yield* checkProgram(program)
    yield* rejectUnwatched(args, rules, requested.source === "vercel")
    const isProxied = requested.source === "store" && requested.routes.length > 0
    if (isProxied && args.flag("no-register"))
      return yield* failUsage("--no-register excludes the routes of a proxy", "Leave one of them out")
    if (isProxied && rules.onExpiry.kind === "renew")
      return yield* failUsage(
        "--on-expiry renew has no effect on the routes of a proxy",
        "Leave it out, and make --ttl longer than the program runs"
      )
    const plan = planOf(requested, command)
    yield* consentToProject(args, requested, { command: "exec", plan, mustBeSeen: false })
    const supervised = { rules, json: args.flag("json") }
    const startWith =
      (proxy?: StartedProxy): StartProgram =>
      (variables, options) =>
        startProgram({ ...program, ...options, proxy }, variables, masked)
    if (requested.source === "vercel") {
      const { pullVercel } = yield* Effect.promise(() => import("./pullVercel.ts"))
      const variables = yield* pullVercel("exec", requested.vercel, requested.project)
      const expiry = (yield* Clock.currentTimeMillis) + requested.millis
      const values = { ...supervised, leased: undefined, firstExpiry: () => expiry }
      return exited(yield* runSupervised(startWith(), variables, values))
    }
    const request = {
      daemon: yield* loadDaemon(args),
      clientId: clientIdOfRun(requested, command),
      secrets: requested.secrets,
      origin: originOf(
        { via: via ?? "exec", program: programPath(command), ...(via !== undefined && { shorten: true }) },
        args.option("reason")
      ),
      maxBytes: maxValueBytes,
      waitUntil: yield* endOfWait(args.option("approval-wait"))
    }
    const runLeased = (proxy?: StartedProxy) =>
      Effect.acquireUseRelease(
        startRun(request, !args.flag("no-register"), watchingFlags(args).length === 0),
        (leased) => {
          const proxied = proxy === undefined ? [] : [{ expiresAt: proxy.run.opened.expires_at ?? "" }]
          const firstEnd = () => firstExpiry([...leased.held, ...proxied])?.millis
          const values = { ...supervised, leased, firstExpiry: firstEnd, proxyNews: proxy?.run.news }
          return recordEnd(leased, parent, runSupervised(startWith(proxy), variablesOf(leased.held), values))
        },
        (leased) => {
          if (proxy !== undefined) proxy.end = leased.end
          return Effect.flatMap(finishRun(leased), (left) =>
            left === 0
              ? Effect.void
              : printWarning("exec", `${counted(left, "lease")} could not be revoked and will expire`)
          )
        }
      )
    if (!isProxied) return exited(yield* runLeased())
    const { startProxy } = yield* Effect.promise(() => import("./proxy/startProxy.ts"))
    const ttl = inGoUnits(args.option("ttl") ?? "")
    const proxied = startProxy({ ...request, routes: requested.routes, ttl, requireDaemon: rules.requireDaemon })
    return exited(yield* Effect.scoped(Effect.flatMap(proxied, runLeased)))
  })
})

/** Fails where the program cannot be started, before a person is asked or anything is leased. */
const checkProgram = Effect.fnUntraced(function* (program: Pick<ChildOptions, "command" | "args">) {
  const file = programPath(program.command)
  if (isExecutableFile(file) && hasInterpreter(file)) return
  const { explainUnstartable } = yield* Effect.promise(() => import("./explainStart.ts"))
  const problem = explainUnstartable({ ...program, env: process.env })
  if (problem !== undefined) return yield* problem
})

/** Reads the env files of the command line; undefined if there are none. */
const envFilesOf = Effect.fnUntraced(function* (args: ArgsOf<typeof flags>) {
  const files = args.options("env-file")
  if (files.length === 0) return undefined
  const { readEnvFiles } = yield* Effect.promise(() => import("./envFileReferences.ts"))
  return yield* readEnvFiles(files, inGoUnits(args.option("ttl") ?? ""))
})

/** Reads the routes of the command line; undefined if there are none. */
const routesOfFlag = Effect.fnUntraced(function* (args: ArgsOf<typeof flags>) {
  const given = args.options("proxy")
  if (given.length === 0) return undefined
  const { readRoutes } = yield* Effect.promise(() => import("./proxy/routeRequests.ts"))
  return yield* readRoutes(given)
})

const loadParent = Effect.flatMap(
  Effect.promise(() => import("./parentChannel.ts")),
  ({ joinParent }) => joinParent
)

const exited = ({ status }: RunEnd) => ({ result: undefined, ranProgram: status })

/** Keeps how the program ended, for the daemon and the parent. */
const recordEnd = (leased: LeasedRun, parent: ParentChannel | undefined, run: Effect.Effect<RunEnd, CommandError>) =>
  run.pipe(
    Effect.tap((end) =>
      Effect.sync(() => {
        leased.end = end
        parent?.onEnd({ runId: leased.run?.runId, because: end.because })
      })
    ),
    Effect.tapError(({ exitStatus: status }) => Effect.sync(() => void (leased.end = { status })))
  )

/** Returns what a project file would give the program, for the question. */
const planOf = (requested: RequestedSecrets, command: string) =>
  Effect.map(
    Effect.promise(() => import("./plan.ts")),
    ({ planLines }) => planLines(requested, clientIdOfRun(requested, command), ["pass", command])
  )

/** Returns a client id of this run alone: a client has one lease of a secret, and runs may be concurrent. */
const clientIdOfRun = (requested: RequestedSecrets, command: string): string =>
  requested.source === "vercel"
    ? ""
    : (requested.clientId ?? `${requested.ownClientId}/${escapeValue(path.basename(command))}[${process.pid}]`)

/** Linux takes no longer variable, with the byte that ends it. */
const maxVariableBytes = 131_072

/** Returns how long the value of a variable may be; undefined where only all of them together are limited. */
const maxValueBytes = (variable: string): number | undefined =>
  process.platform === "linux" ? maxVariableBytes - Buffer.byteLength(`${variable}=`) - 1 : undefined

const startProgram = Effect.fnUntraced(function* <Watched>(
  {
    parent,
    plain,
    proxy,
    ...program
  }: Omit<ChildOptions<Watched>, "env" | "pipeOutput"> & {
    readonly parent: ParentChannel | undefined
    /** Variables that are no secrets. */
    readonly plain: ReadonlyArray<EnvVariable>
    readonly proxy: StartedProxy | undefined
  },
  variables: ReadonlyArray<EnvVariable>,
  masked: boolean
) {
  yield* checkVariables(variables)
  const twice = variables.find(({ name }) => proxy?.variables[name] !== undefined)
  if (twice !== undefined)
    return yield* failUsage(`the variable ${twice.name} is one of --proxy`, "Give the secret another: NAME=VAR")
  return yield* runChild({
    ...program,
    env: {
      ...(parent?.env ?? process.env),
      ...Object.fromEntries(plain.map(({ name, value }) => [name, value])),
      ...proxy?.variables,
      ...Object.fromEntries(variables.map(({ name, value }) => [name, value]))
    },
    pipeOutput: masked ? maskOutput(yield* maskersFor(variables, parent)) : undefined,
    onStart: (pid) => {
      if (proxy !== undefined) proxy.run.pid = pid
      parent?.onStart(pid)
    },
    onExit: parent?.onExit
  })
})

const maskersFor = Effect.fnUntraced(function* (
  variables: ReadonlyArray<EnvVariable>,
  parent: ParentChannel | undefined
) {
  const short = variables.filter(({ value }) => value !== "" && Buffer.byteLength(value) < minMaskedLength)
  const variants = encodedVariantsOfAll(variables.map(({ value }) => value))
  const maskable = countMaskable(variants)
  const unmasked = [
    short.length > 0 &&
      `values shorter than ${minMaskedLength} bytes are not masked: ${short.map(({ name }) => name).join(", ")}`,
    maskable < variants.length &&
      `too many or too long values: ${variants.length - maskable} of their encodings and lines are not masked`
  ].filter((text) => text !== false)
  // The parent shows the output to an agent.
  const [first] = parent === undefined ? [] : unmasked
  if (first !== undefined) return yield* refuseToRun(first)
  for (const text of unmasked) yield* printWarning("exec", text)
  const makeMasker = makeMaskers(variants.slice(0, maskable))
  return parent === undefined ? makeMasker : parent.counting(makeMasker)
})

const refuseToRun = (message: string) =>
  new CommandError({
    message,
    code: "too_short_to_mask",
    fix: "Store a longer value",
    exitStatus: exitStatus.rejected
  })
