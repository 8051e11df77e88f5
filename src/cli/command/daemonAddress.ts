/**
 * The socket of the daemon, the timeout and the client id of a command: from the flags, the
 * variables that stand for them, config.json, or the default in ~/.agent-secrets.
 *
 * It reads nothing else of config.json and reports no other mistake in it. It loads no
 * library: the fast path uses it.
 */
import { hostname } from "node:os"
import { resolve } from "node:path"
import { parseJsonFile } from "../../domain/jsonFile.ts"
import { below, clientIdExpected, clientIdPattern, pathIn } from "../../domain/paths.ts"
import { type Problem, printNotice, usageError } from "./Output.ts"
import { configError, type GlobalArgs, readSettings } from "./settingsFile.ts"

export interface Address {
  readonly socketPath: string
  /** The socket of the daemon's owner, where the other one is a group's. */
  readonly ownerSocket?: string | undefined
  readonly seconds: number
  /** Undefined with --timeout, which says how long to wait. */
  readonly returnsSoon: (() => Promise<boolean>) | undefined
  readonly onWait: () => void
}

/**
 * Seconds from the start of the process until a command has given up: callers end it at 5. A slow start, or a question
 * before the request, takes at most one of them.
 */
const patience = 3.7

/** Returns the address, or what is wrong with the settings. */
export const daemonAddress = (args: GlobalArgs): Address | Problem => {
  const given = args.option("timeout")
  const seconds = Number(given?.replace(/s$/, "") ?? (patience - Math.min(process.uptime(), 1)).toFixed(1))
  if (!(seconds > 0 && seconds <= 3600)) {
    return usageError("--timeout must be a number of seconds above 0", "For example: --timeout 2")
  }
  const socket = args.option("socket")
  const found = socket === undefined ? configuredSockets(args) : { socketPath: absolute(socket) }
  if ("exitStatus" in found) return found
  const { socketPath } = found
  const returnsSoon =
    given === undefined
      ? () => import("./absence.ts").then((absence) => absence.returnsSoon(args, socketPath))
      : undefined
  return { ...found, seconds, returnsSoon, onWait: tellWaiting }
}

/** Tells a person; a log or a pipe gets the outcome alone. */
const tellWaiting = (): void => {
  if (process.getBuiltinModule("node:tty").isatty(2)) printNotice("waiting for the daemon …")
}

type Sockets = Pick<Address, "socketPath" | "ownerSocket">

const configuredSockets = (args: GlobalArgs): Sockets | Problem => {
  const parsed = parsedSettings(args)
  return "exitStatus" in parsed ? parsed : socketIn(parsed)
}

/**
 * Returns the client id of a command without --client-id: that of the variable, of config.json, or the host name, which a
 * Mac may take from the network. With --socket, a command needs no config.json.
 */
export const defaultClientId = (args: GlobalArgs): string | Problem => {
  // An empty variable counts as unset.
  const variable = process.env[clientIdVariable] || undefined
  if (variable !== undefined) {
    const fix = "Correct the variable, or unset it"
    return clientIdPattern.test(variable)
      ? variable
      : usageError(`${clientIdVariable} must be ${clientIdExpected}`, fix)
  }
  const parsed = parsedSettings(args)
  if ("exitStatus" in parsed) return args.option("socket") === undefined ? parsed : hostName()
  const given = parsed.settings["client_id"] ?? undefined
  if (given === undefined) return hostName()
  if (typeof given === "string" && clientIdPattern.test(given)) return given
  return invalid(parsed.file, `client_id must be ${clientIdExpected}`)
}

const clientIdVariable = "AGENT_SECRETS_CLIENT_ID"

const hostName = (): string => hostname() || "unknown"

/** Resolves a path; returns it unchanged if the current directory was removed. */
const absolute = (file: string): string => {
  try {
    return resolve(file)
  } catch {
    return file
  }
}

interface ParsedSettings {
  readonly settings: Partial<Record<string, unknown>>
  readonly home: string
  readonly file: string
}

const parsedSettings = (args: GlobalArgs): ParsedSettings | Problem => {
  const read = readSettings(args)
  if ("exitStatus" in read) return read
  const { file, home, text } = read
  const parsed = parseJsonFile(text)
  if ("reason" in parsed) return invalid(file, parsed.reason)
  const settings = parsed.value
  if (typeof settings !== "object" || settings === null || Array.isArray(settings))
    return invalid(file, "the file must be a JSON object")
  return { settings, home, file }
}

const invalid = (file: string, reason: string): Problem => configError(`config: ${reason} (${file})`, `Correct ${file}`)

/** Returns the sockets that config.json names, or what is wrong with it. */
const socketIn = ({ file, home, settings }: ParsedSettings): Sockets | Problem => {
  const { directory, socket_mode: mode, socket_path: socket } = settings
  const [key, value] = (socket ?? undefined) === undefined ? ["directory", directory] : ["socket_path", socket]
  const found = pathIn(value ?? below(home, ".agent-secrets"), home)
  if (found === undefined) return invalid(file, `${key} must be an absolute path, or begin with ~/`)
  const socketPath = key === "directory" ? below(found, "agent-secrets.sock") : found
  return mode === "0660" ? { socketPath, ownerSocket: ownerSocketIn(settings, home) } : { socketPath }
}

/** Returns the path that `socketsOf` chooses for the owner's socket. */
const ownerSocketIn = (settings: Partial<Record<string, unknown>>, home: string): string | undefined => {
  const { directory, sockets } = settings
  const listed: unknown = Array.isArray(sockets) ? sockets.find((one) => one?.role === "owner")?.path : undefined
  if (listed !== undefined) return pathIn(listed, home)
  const found = pathIn(directory ?? below(home, ".agent-secrets"), home)
  return found === undefined ? undefined : below(found, "owner.sock")
}
