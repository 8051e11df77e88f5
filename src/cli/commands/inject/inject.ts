/**
 * secrets inject: replaces references in a template by values, into a file of its owner alone or to
 * standard output.
 *
 * All or nothing: a reference without a value fails before anything is written, and ends the leases.
 * Those of a file stay active as long as it is useful; the next run replaces both.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as path from "node:path"
import { agentVariable } from "../../../domain/agentVariables.ts"
import { counted } from "../../../domain/counted.ts"
import { hasHashComments, withEnvHeader } from "../../../domain/envFile.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { isTtl } from "../../../domain/GoDuration.ts"
import { parseTemplate, referenceText, type SecretReference } from "../../../domain/reference.ts"
import { inGoUnits } from "../../../domain/spelledDuration.ts"
import { fromMillis } from "../../../domain/Timestamp.ts"
import { readPath, readToEnd } from "../../../process/standardInput.ts"
import { fileErrorText } from "../../../domain/systemError.ts"
import { sharedTimeout } from "../../../rpc/client/client.ts"
import { type ArgsOf, defineCommand } from "../../command/Command.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
import { approvalWaitError, approvalWaitFlag, originOf, reasonFlag } from "../../command/leaseOrigin.ts"
import { loadClientId, loadDaemon } from "../../command/settings.ts"
import { printsToTerminal } from "../../terminal/isInteractive.ts"
import { firstExpiry, leaseAll, type LeasedSecret, revokeLeases } from "../project/leaseAll.ts"
import { installGracefulShutdown, printWarning } from "../project/requestedSecrets.ts"
import { checkEnvFileTarget, type EnvFileTarget, warnIfTracked, writeEnvFile } from "../project/writeEnvFile.ts"
import { endOfWait } from "../requests/awaitAnswer.ts"

const flags = {
  template: {
    type: "string",
    short: "i",
    value: "PATH",
    summary: "the template; - is standard input",
    completes: "file"
  },
  file: { type: "string", short: "o", value: "PATH", summary: "the output file", completes: "file" },
  force: { type: "boolean", summary: "replace a file that secrets did not write" },
  print: { type: "boolean", summary: "print the result, also on a terminal and for an agent" },
  ttl: { type: "string", value: "DURATION", summary: "TTL of the leases" },
  "client-id": { type: "string", value: "ID", summary: "client id of the leases", completes: "client" },
  reason: reasonFlag,
  "approval-wait": approvalWaitFlag
} as const

type InjectArgs = ArgsOf<typeof flags>

/** A template is text that a person wrote. In mebibytes. */
const maxTemplate = 1

export const injectCommand = defineCommand({
  name: "inject",
  summary: "Replace the references in a template by values",
  arity: [0, 1],
  flags,
  examples: ["secrets inject -i config.tpl.yaml -o config.yaml", "secrets inject -i mcp.tpl.json -o mcp.json --force"],
  about: [
    "A reference is {{ secret://NAME }}, or {{ secret://NAME#member }} for a member of a value that is JSON.",
    "Only the owner can read the file. It begins with a comment that it is managed, where its format has comments with #; of",
    "others, the state directory has a record.",
    "Nothing is written if a reference has no value. Without -o the result is printed, but not on a terminal or for an agent.",
    "For variables of a program, use secrets exec --env-file."
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    yield* installGracefulShutdown
    const source = args.option("template")
    if (source === undefined || args.positionals.length > 0)
      return yield* failUsage("--template has to name the template", "For example: secrets inject -i FILE -o FILE")
    yield* checkFlags(args)
    const target = yield* targetOf(args)
    const { malformed, parts } = parseTemplate(yield* readTemplate(source))
    if (malformed.length > 0) {
      return yield* new CommandError({
        message: `${escapeValue(source)}: no reference in line ${[...new Set(malformed)].join(", ")}`,
        fix: "Write it as {{ secret://NAME }} or {{ secret://NAME#member }}",
        code: "data_error",
        exitStatus: exitStatus.failed
      })
    }
    const references = parts.filter((part) => typeof part !== "string")
    if (target !== undefined) yield* checkEnvFileTarget(target)
    const daemon = yield* loadDaemon(args)
    const clientId = args.option("client-id") ?? `${yield* loadClientId(args)}:${target?.file ?? "inject"}`
    const ttl = inGoUnits(args.option("ttl") ?? "")
    const request = {
      daemon,
      clientId,
      secrets: references.map((one) => ({
        ...one,
        variable: referenceText(one),
        ttl,
        place: `${source === "-" ? "standard input" : source}, line ${one.line}`
      })),
      origin: originOf({ via: "env" }, args.option("reason")),
      waitUntil: yield* endOfWait(args.option("approval-wait"))
    }
    const rest = yield* sharedTimeout(daemon)
    const giveBack = (leased: ReadonlyArray<LeasedSecret>) => Effect.flatMap(rest, (left) => revokeLeases(left, leased))
    return yield* Effect.acquireUseRelease(
      leaseAll(request),
      Effect.fnUntraced(function* (leased) {
        const text = filled(parts, leased)
        const undo = () => Effect.runPromise(giveBack(leased))
        if (target === undefined) return { verbatim: text, result: { text }, undo }
        return yield* writeResult(target, text, leased)
      }),
      (leased, exit) => (Exit.isSuccess(exit) ? Effect.void : Effect.asVoid(giveBack(leased)))
    )
  })
})

const checkFlags = Effect.fnUntraced(function* (args: InjectArgs) {
  const ttl = args.option("ttl")
  if (ttl !== undefined && !isTtl(ttl))
    return yield* failUsage("--ttl must be a duration above 0", "For example: --ttl 30m")
  const wrongWait = approvalWaitError(args.option("approval-wait"))
  if (wrongWait !== undefined) return yield* new CommandError(wrongWait)
})

/** Returns the output file; undefined for standard output. */
const targetOf = Effect.fnUntraced(function* (args: InjectArgs) {
  const file = args.option("file")
  if (file !== undefined && file !== "-") {
    const source = args.option("template")
    const target: EnvFileTarget = { file: path.resolve(file), force: args.flag("force"), within: undefined, source }
    return target
  }
  const agent = agentVariable(process.env)
  if (args.flag("print") || (!printsToTerminal() && agent === undefined && !args.flag("json"))) return undefined
  const where = agent === undefined ? "a terminal" : `an agent (${agent} is set)`
  return yield* failUsage(`the values would be shown to ${where}`, "Write them to a file with -o FILE, or pass --print")
})

const readTemplate = Effect.fnUntraced(function* (source: string) {
  const read = source === "-" ? readToEnd(process.stdin, maxTemplate) : readPath(source, maxTemplate)
  const bytes = yield* Effect.mapError(read, (cause) => unreadable(source, fileErrorText(cause)))
  return yield* Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
    catch: () => unreadable(source, "it is not UTF-8 text")
  })
})

const unreadable = (source: string, why: string) =>
  new CommandError({
    message: `cannot read ${escapeValue(source)}: ${why}`,
    fix: "Name a readable text with --template",
    code: "io_error",
    exitStatus: exitStatus.failed
  })

/** Returns the text with values. */
const filled = (parts: ReadonlyArray<string | SecretReference>, leased: ReadonlyArray<LeasedSecret>): string => {
  const values = new Map(leased.map(({ value, variable }) => [variable, Redacted.value(value)]))
  return parts.map((part) => (typeof part === "string" ? part : (values.get(referenceText(part)) ?? ""))).join("")
}

const writeResult = Effect.fnUntraced(function* (
  target: EnvFileTarget,
  text: string,
  leased: ReadonlyArray<LeasedSecret>
) {
  const until = firstExpiry(leased) ?? fromMillis(yield* Clock.currentTimeMillis)
  const isManaged = leased.length > 0
  const hasHeader = isManaged && hasHashComments(path.basename(target.file))
  yield* writeEnvFile(target, hasHeader ? withEnvHeader(text, { source: "store", until }) : text)
  if (isManaged && !hasHeader) {
    const { recordWritten } = yield* Effect.promise(() => import("../cleanup/writtenFiles.ts"))
    const problem = yield* recordWritten(target.file, until.text)
    if (problem !== undefined) yield* printWarning("inject", `secrets cleanup will not find the file: ${problem}`)
  }
  yield* warnIfTracked("inject", target.file)
  const leases = [...new Map(leased.map((one) => [one.leaseId, one])).values()].map(
    ({ expiresAt, leaseId, secret }) => ({ secret_name: secret, lease_id: leaseId, expires_at: expiresAt })
  )
  return {
    lines: [`wrote ${counted(leases.length, "secret")} to ${escapeValue(target.file)}`],
    result: { file: target.file, managed: isManaged, leases }
  }
})
