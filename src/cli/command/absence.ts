/**
 * A daemon that does not listen: whether it is expected back soon, and what is known about it.
 *
 * It only reads: the lock of the state directory, daemon.json, and runs.json with the end of
 * the last run. Where nothing is known, no daemon is expected.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import { decodeConfig } from "../../domain/Config.ts"
import { escapeValue } from "../../domain/escape.ts"
import { socketsOf } from "../../domain/ListenSocket.ts"
import { nameWord } from "../../domain/shellWord.ts"
import { decodeRunHistory, lastRunInWords, promisesReturn, runsFileName } from "../../domain/runHistory.ts"
import { hasCode } from "../../daemon/files/durableFile.ts"
import { findHolder } from "../../daemon/files/fileLock.ts"
import { readStamp } from "../../service/ServiceFile.ts"
import { serviceFile } from "../../service/serviceDirectory.ts"
import { type GlobalArgs, homeDirectory, readSettings } from "./settingsFile.ts"
import type { Problem } from "./Output.ts"

/** Returns whether a daemon starts or stops now, has a supervisor, or ended a moment ago. */
export const returnsSoon = (args: GlobalArgs, socketPath: string): Promise<boolean> =>
  Effect.gen(function* () {
    const directory = stateDirectory(args, socketPath)
    if (directory === undefined) return false
    if ((yield* findHolder(lockIn(directory))) !== undefined) return true
    const now = yield* Clock.currentTimeMillis
    try {
      const history = decodeRunHistory(fs.readFileSync(path.join(directory, runsFileName), "utf8"))
      return Option.isSome(history) && promisesReturn(history.value, lastWrite(directory), now)
    } catch (cause) {
      // A daemon of another account.
      return hasCode(cause, "EACCES")
    }
  }).pipe(Effect.runPromise)

/** Adds to the problem what is known: a process that runs without its socket, or how the last one ended. */
export const explainAbsence = (
  args: GlobalArgs,
  { code, socketPath }: { readonly code: string; readonly socketPath: string },
  problem: Problem,
  describeRun = false
): Promise<Problem> =>
  Effect.gen(function* () {
    const directory = stateDirectory(args, socketPath)
    if (directory === undefined) return { ...problem, fix: startOf(args, socketPath) ?? problem.fix }
    const holder = yield* findHolder(lockIn(directory))
    if (holder !== undefined) {
      const who = holder === "unknown" ? "a daemon" : `process ${holder}`
      const [state, fix] =
        code === "ENOENT"
          ? ["gone", "Wait a few seconds: it makes its socket again"]
          : ["replaced", `Wait a few seconds; if that does not help, remove ${escapeValue(socketPath)}`]
      return { ...problem, message: `${who} runs, but its socket is ${state}`, fix }
    }
    const known = describeRun ? describeLastRun(directory) : undefined
    const why = known === undefined ? problem.why : [problem.why ?? [], known].flat().join("; ")
    return { ...problem, why, fix: startHint(args) ?? startOf(args, socketPath) ?? problem.fix }
  }).pipe(Effect.runPromise)

/** Adds to a timeout how to replace the daemon. */
export const explainHang = async (args: GlobalArgs, problem: Problem): Promise<Problem> => {
  const fix = await hangHint(args, path.resolve(args.option("socket") ?? ""))
  return { ...problem, message: problem.message, fix: fix ?? problem.fix }
}

/** Returns how to replace a daemon that holds its lock and does not reply; undefined if there is none. */
export const hangHint = async (args: GlobalArgs, socketPath: string): Promise<string | undefined> => {
  const kill = await killCommand(lockFileOf(args, socketPath))
  const start = startHint(args) ?? startOf(args, socketPath) ?? "Start it with: secrets serve"
  return kill && `If it stays so, end it; secrets and leases survive: ${kill}. ${start}`
}

/** Returns the command that ends the process that holds the lock; undefined if none does. */
export const killCommand = async (lockFile: string | undefined): Promise<string | undefined> => {
  const holder = lockFile === undefined ? undefined : await Effect.runPromise(findHolder(lockFile))
  if (lockFile === undefined || holder === undefined) return undefined
  return `kill -9 ${holder === "unknown" ? `$(lsof -t ${nameWord(lockFile, "FILE")})` : holder}`
}

/** Returns how to start the service if one is installed for this daemon. */
const startHint = (args: GlobalArgs): string | undefined => {
  const home = homeDirectory()
  if (typeof home !== "string") return undefined
  if (isServiceOf(args, serviceFile("user", home))) return "Start it with: secrets daemon start"
  return isServiceOf(args, serviceFile("system", home))
    ? "Start it with: sudo secrets daemon start --system"
    : undefined
}

/** Returns how to start the daemon of a socket that the command line names, or that is in a directory of another account. */
const startOf = (args: GlobalArgs, socketPath: string): string | undefined => {
  const place = path.dirname(socketPath)
  const owner = fs.statSync(place, { throwIfNoEntry: false })?.uid
  const own = process.geteuid?.()
  if (owner !== undefined && own !== undefined && own !== 0 && owner !== own && owner !== 0)
    return `Ask the account that owns ${escapeValue(place)} to start it`
  const flags = (["socket", "config"] as const).flatMap((flag) => {
    const given = args.option(flag)
    return given === undefined ? [] : [`--${flag} ${nameWord(given, "PATH")}`]
  })
  return flags.length === 0 ? undefined : ["Start it with: secrets serve", ...flags].join(" ")
}

/** Returns whether the file is there and its service has the socket and the settings that the command line names. */
const isServiceOf = (args: GlobalArgs, file: string): boolean => {
  try {
    const choices = readStamp(fs.readFileSync(file, "utf8"))?.choices
    return (["socket", "config"] as const).every((flag) => {
      const given = args.option(flag)
      return (given === undefined ? undefined : path.resolve(given)) === choices?.[flag]
    })
  } catch {
    return false
  }
}

/** Returns the lock file of the daemon that the socket is of. */
export const lockFileOf = (args: GlobalArgs, socketPath: string): string | undefined => {
  const directory = stateDirectory(args, socketPath)
  return directory === undefined ? undefined : lockIn(directory)
}

const lockIn = (directory: string): string => path.join(directory, "daemon.lock")

const describeLastRun = (directory: string): string | undefined => {
  try {
    const text = fs.readFileSync(path.join(directory, runsFileName), "utf8")
    return Option.getOrUndefined(Option.map(decodeRunHistory(text), lastRunInWords))
  } catch {
    return undefined
  }
}

/** Returns the directory of the daemon that the socket is of; undefined if it is of none that is known. */
const stateDirectory = (args: GlobalArgs, socketPath: string): string | undefined => {
  const settings = readSettings(args)
  const decoded = "exitStatus" in settings ? undefined : decodeConfig(settings.text, settings.home, process.env)
  if (decoded !== undefined && Result.isSuccess(decoded)) {
    const { config } = decoded.success
    const isListed = socketsOf(config).some((socket) => socket.path === socketPath)
    if (args.option("socket") === undefined || isListed) return config.directory
  }
  const directory = path.dirname(socketPath)
  try {
    const run: unknown = JSON.parse(fs.readFileSync(path.join(directory, "daemon.json"), "utf8"))
    const isOther = typeof run === "object" && run !== null && "socket" in run && run.socket !== socketPath
    return isOther ? undefined : directory
  } catch {
    return directory
  }
}

/** Returns when a file of the directory was last written. */
const lastWrite = (directory: string): number =>
  Math.max(
    0,
    ...fs
      .readdirSync(directory)
      .map((name) => fs.lstatSync(path.join(directory, name), { throwIfNoEntry: false })?.mtimeMs ?? 0)
  )
