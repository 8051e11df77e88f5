/**
 * secrets helper PROTOCOL: one call of another program, from its arguments to its answer.
 *
 * Standard output has the answer of the protocol or nothing, in one write. It loads no library,
 * unless there are targets that are not written plainly. `config` and `shim` are `helper.ts`.
 */
import { parseJsonFile } from "../../../domain/jsonFile.ts"
import type { HelperTargets } from "../../../domain/HelperConfig.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { inGoUnits } from "../../../domain/spelledDuration.ts"
import { emptyCoreFiles } from "../../../process/coreFiles.ts"
import { parseArguments } from "../../command/Command.ts"
import { readSettings } from "../../command/settingsFile.ts"
import { explainDenied } from "../../command/failedProblem.ts"
import {
  exitWith,
  printProblem,
  printVerbatim,
  type Problem,
  undoUnlessPrinted,
  usageError
} from "../../command/Output.ts"
import { answerCall, type NamedProtocol, type Outcome } from "./answer.ts"
import { type HelperArgs, helperSpec } from "./helperSpec.ts"
import { unfit } from "./Protocol.ts"
import { isProtocolName, type ProtocolName, protocols } from "./protocols.ts"
import { inputReader } from "./readInput.ts"

/** Returns whether it runs this command line; if not, it has done nothing. */
export const runHelper = async (words: ReadonlyArray<string>): Promise<boolean> => {
  const parsed = parseArguments(helperSpec, words)
  if (parsed.kind !== "run") return false
  const { args, json } = parsed
  const [name = "", ...rest] = args.positionals
  if (name === "config" || name === "shim") return false
  emptyCoreFiles()
  const problem = isProtocolName(name) ? await answerAs(name, args, rest, json) : unknownProtocol(name)
  if (problem !== undefined) exitWith(printProblem("helper", false, problem))
  return true
}

/** Answers in one protocol; returns what is wrong with the command line. */
const answerAs = async (
  name: ProtocolName,
  args: HelperArgs,
  words: ReadonlyArray<string>,
  json: boolean
): Promise<Problem | undefined> => {
  const named = { ...(await protocols[name]()), name }
  const wrong = wrongLine(named, args, json)
  if (wrong !== undefined) return wrong
  await (named.greeting === undefined ? answerOnce(named, args, words) : answerLines(named, args, words))
  return undefined
}

const unknownProtocol = (name: string): Problem =>
  usageError(`unknown protocol ${JSON.stringify(name)}`, "See: secrets helper --help")

const wrongLine = ({ minTtl: least = 0, name, takesName }: NamedProtocol, args: HelperArgs, json: boolean) => {
  if (json) return usageError("--json does not apply to an answer", "Omit it: each protocol has its own form")
  const isNamed = args.option("name") !== undefined
  const count = args.positionals.length - 1
  if (takesName && count !== (isNamed ? 0 : 1))
    return usageError(`${name} takes the name of one secret`, `For example: secrets helper ${name} api_key`)
  const ttl = args.option("ttl")
  const seconds = ttl === undefined ? Infinity : secondsIn(inGoUnits(ttl))
  if (seconds > 0 && seconds >= least) return undefined
  return least === 0
    ? usageError("--ttl must be a duration above 0", "For example: --ttl 30m")
    : usageError(`--ttl must be at least ${least / 60}m for ${name}`, "For example: --ttl 1h")
}

const unitSeconds: Partial<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 1e-3, us: 1e-6, µs: 1e-6, ns: 1e-9 }

/** Returns 0 for what is no duration. */
const secondsIn = (ttl: string): number =>
  /^\+?((\d+\.?\d*|\.\d+)(h|ms|m|s|us|µs|ns))+$/.test(ttl)
    ? [...ttl.matchAll(/([\d.]+)([a-zµ]+)/g)].reduce(
        (sum, [, n, unit = ""]) => sum + Number(n) * (unitSeconds[unit] ?? 0),
        0
      )
    : 0

const answerOnce = async (protocol: NamedProtocol, args: HelperArgs, words: ReadonlyArray<string>): Promise<void> => {
  const { isComplete } = protocol
  // Before the answer is known: the other program writes before it reads.
  const input =
    isComplete === undefined
      ? { text: "" }
      : await inputReader(process.stdin)((text) => (isComplete(text) ? text.length : undefined))
  exitWith(printOutcome(input === undefined ? outcomeOf(tooLong) : await answer(protocol, args, words, input.text)))
}

/** Answers each line until the input ends. */
const answerLines = async (protocol: NamedProtocol, args: HelperArgs, words: ReadonlyArray<string>): Promise<void> => {
  printVerbatim(protocol.greeting ?? "")
  const read = inputReader(process.stdin)
  for (;;) {
    const line = await read((text) => (text.includes("\n") ? text.indexOf("\n") + 1 : undefined))
    if (line === undefined) return exitWith(printOutcome(outcomeOf(tooLong)))
    if (line.text.trim() !== "") printOutcome(await answer(protocol, args, words, line.text))
    if (line.ended) return exitWith(exitStatus.done)
  }
}

const tooLong = unfit("standard input is longer than 1 MiB", "Ask for less at once")

const outcomeOf = (problem: Problem): Outcome => ({ stdout: "", status: problem.exitStatus, problem })

/** Prints the answer, and the problem beside it; returns the exit status. */
const printOutcome = ({ problem, status, stdout, undo }: Outcome): number => {
  undoUnlessPrinted(undo)
  if (stdout !== "") printVerbatim(stdout)
  if (problem !== undefined) printProblem("helper", false, problem)
  return status
}

const answer = async (
  protocol: NamedProtocol,
  args: HelperArgs,
  words: ReadonlyArray<string>,
  input: string
): Promise<Outcome> => {
  const secret = args.option("name")
  const settings = await settingsOf(args, secret === undefined && protocol.takesName !== true)
  if ("exitStatus" in settings) return outcomeOf(settings)
  const { targets, ttl } = settings
  const call = { words, input, targets, name: secret, username: args.option("username"), raw: args.flag("raw") }
  return answerCall(protocol, args, { ...call, env: process.env }, ttl)
}

interface HelperSettings {
  readonly targets: HelperTargets | undefined
  /** In Go's units. */
  readonly ttl: string | undefined
}

const plainTtl = /^([0-9]+[hms])+$/

/** Reads what config.json says; only what is not written plainly needs the schema of the file. */
const settingsOf = async (args: HelperArgs, needsTargets: boolean): Promise<HelperSettings | Problem> => {
  const read = readSettings(args)
  if ("exitStatus" in read) return explainDenied(read)
  const parsed = parseJsonFile(read.text)
  const helpers: unknown = "value" in parsed ? (Reflect.get(Object(parsed.value), "helpers") ?? undefined) : undefined
  const ttl: unknown = Reflect.get(Object(helpers), "ttl") ?? undefined
  const isPlain = ttl === undefined || (typeof ttl === "string" && plainTtl.test(ttl))
  const targets = isPlain && needsTargets ? (await import("./plainTargets.ts")).plainTargets(helpers) : undefined
  if ("value" in parsed && (helpers === undefined || (isPlain && (!needsTargets || targets !== undefined))))
    return { targets, ttl: typeof ttl === "string" ? ttl : undefined }
  const { decodeTargets } = await import("./helperTargets.ts")
  const decoded = decodeTargets(read)
  if ("exitStatus" in decoded) return decoded
  const length = decoded.targets?.ttl
  return { targets: decoded.targets, ttl: length === undefined ? undefined : `${length}ns` }
}
