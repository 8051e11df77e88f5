/**
 * The settings: where things are and how long leases last.
 *
 * Read from config.json, which the predecessor's command and ours share. Durations
 * are nanosecond numbers, as the predecessor reads them, or texts like "1h". Keys
 * that are not known here are somebody else's and are passed over. Paths that are
 * not given lie in the state directory. Source: protocol specification, 9.5.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as path from "node:path"
import type { GoDuration } from "./GoDuration.ts"
import { minute, parse, second } from "./GoDuration.ts"
import { standardCapacity } from "./Lease.ts"
import type { OtlpConfig } from "./OtlpConfig.ts"
import { otlpIn } from "./OtlpConfig.ts"
import type { SamplingPolicy } from "./Sampling.ts"
import { levels, standardSampling } from "./Sampling.ts"
import { pathIn } from "./paths.ts"
import type { TtlPolicy } from "./Ttl.ts"
import { standardPolicy } from "./Ttl.ts"

export interface Config {
  readonly directory: string
  readonly socketPath: string
  readonly identityPath: string
  readonly secretsPath: string
  readonly auditPath: string
  readonly leasesPath: string
  /** When a file of the audit log is closed, and how many closed ones are kept. */
  readonly auditRotation: AuditRotation
  readonly ttl: TtlPolicy
  /** Active leases there may be. */
  readonly leaseCapacity: number
  readonly socketAccess: SocketAccess
  /** How long the command that rotates a secret may take. */
  readonly rotationTimeout: GoDuration
  /** Which events are sent. */
  readonly sampling: SamplingPolicy
  /** A collector of OpenTelemetry; undefined if none is named here. */
  readonly otlp: OtlpConfig | undefined
  /** The dead man's switch; undefined if there is none, or it is not enabled. */
  readonly heartbeat: HeartbeatSettings | undefined
}

export interface AuditRotation {
  /** Bytes. */
  readonly maxSize: number
  readonly maxFiles: number
}

/** Together at most 60 MB, which is some 200,000 entries. */
export const standardRotation: AuditRotation = { maxSize: 10_000_000, maxFiles: 5 }

/** Who may use the socket: its owner, or a group as well. */
export type SocketAccess = { readonly mode: 0o600 } | { readonly mode: 0o660; readonly group: string }

export interface HeartbeatSettings {
  readonly url: string
  readonly interval: GoDuration
  readonly timeout: GoDuration
  /** Failures in a row before it fires. */
  readonly maxFailures: number
  readonly failAction: {
    readonly revokeAll: boolean
    readonly rotateAll: boolean
    readonly wipeStore: boolean
  }
}

/** A setting is wrong; the message names the key and what is expected of it. */
export class ConfigError extends Schema.TaggedError<ConfigError>()("ConfigError", {
  reason: Schema.String
}) {
  override get message() {
    return `config: ${this.reason}`
  }
}

/** The settings where nothing is set; `home` is the home directory. */
export const standard = (home: string): Config => inDirectory(path.join(home, ".agent-secrets"))

/** Reads the text of a config.json. What `environment` sets goes before it. */
export const decode = (
  text: string,
  home: string,
  environment: Readonly<Record<string, string | undefined>> = {}
): Result.Result<Config, ConfigError> =>
  Result.gen(function* () {
    const parsed = yield* Result.try({
      try: (): unknown => JSON.parse(text),
      catch: () => new ConfigError({ reason: "the file is not JSON" })
    })
    const settings = yield* membersOf(parsed, "the file")
    const base = inDirectory(yield* pathAt(settings, "directory", home, standard(home).directory))
    const config: Config = {
      directory: base.directory,
      socketPath: yield* pathAt(settings, "socket_path", home, base.socketPath),
      identityPath: yield* pathAt(settings, "identity_path", home, base.identityPath),
      secretsPath: yield* pathAt(settings, "secrets_path", home, base.secretsPath),
      auditPath: yield* pathAt(settings, "audit_path", home, base.auditPath),
      leasesPath: yield* pathAt(settings, "leases_path", home, base.leasesPath),
      auditRotation: {
        maxSize: yield* sizeAt(settings, "audit_max_size", standardRotation.maxSize),
        maxFiles: yield* countAt(settings, "audit_max_files", standardRotation.maxFiles)
      },
      ttl: {
        default: yield* durationAt(settings, "default_lease_ttl", base.ttl.default),
        maximum: yield* durationAt(settings, "max_lease_ttl", base.ttl.maximum)
      },
      leaseCapacity: yield* countAt(settings, "max_active_leases", base.leaseCapacity),
      socketAccess: yield* socketAccessIn(settings),
      rotationTimeout: yield* durationAt(settings, "rotation_timeout", base.rotationTimeout),
      sampling: yield* samplingIn(settings, environment),
      otlp: yield* Result.mapError(otlpIn(settings.get("otlp")), (reason) => new ConfigError({ reason })),
      heartbeat: yield* heartbeatIn(settings)
    }
    if (config.ttl.maximum < config.ttl.default) {
      return yield* Result.fail(new ConfigError({ reason: "max_lease_ttl must be >= default_lease_ttl" }))
    }
    const paths = [config.socketPath, config.identityPath, config.secretsPath, config.auditPath, config.leasesPath]
    const twice = paths.find((one, at) => paths.indexOf(one) < at)
    if (twice !== undefined) return yield* wrong(`two of the paths are the same: ${twice}`)
    return config
  })

const inDirectory = (directory: string): Config => ({
  directory,
  socketPath: path.join(directory, "agent-secrets.sock"),
  identityPath: path.join(directory, "identity.age"),
  secretsPath: path.join(directory, "secrets.age"),
  auditPath: path.join(directory, "audit.log"),
  leasesPath: path.join(directory, "leases.json"),
  auditRotation: standardRotation,
  ttl: standardPolicy,
  leaseCapacity: standardCapacity,
  socketAccess: { mode: 0o600 },
  rotationTimeout: 30n * second,
  sampling: standardSampling,
  otlp: undefined,
  heartbeat: undefined
})

/** Members by their names; one that is null counts as absent. */
type Settings = ReadonlyMap<string, unknown>

const wrong = (reason: string) => Result.fail(new ConfigError({ reason }))

const membersOf = (value: unknown, what: string): Result.Result<Settings, ConfigError> =>
  typeof value !== "object" || value === null || Array.isArray(value)
    ? wrong(`${what} must hold a JSON object`)
    : Result.succeed(new Map<string, unknown>(Object.entries(value).filter(([, member]) => member !== null)))

const pathAt = (
  settings: Settings,
  key: string,
  home: string,
  otherwise: string
): Result.Result<string, ConfigError> => {
  const value = settings.get(key)
  if (value === undefined) return Result.succeed(otherwise)
  if (typeof value !== "string") return wrong(`${key} must be a path in quotes`)
  if (value === "") return wrong(`${key} cannot be empty`)
  const whole = pathIn(value, home)
  return whole === undefined ? wrong(`${key} must be an absolute path, or begin with ~/`) : Result.succeed(whole)
}

const durationAt = (
  settings: Settings,
  key: string,
  otherwise: GoDuration,
  name = key
): Result.Result<GoDuration, ConfigError> => {
  const value = settings.get(key)
  if (value === undefined) return Result.succeed(otherwise)
  const duration =
    typeof value === "string"
      ? parse(value)
      : typeof value === "number" && Number.isInteger(value) && value < 2 ** 63
        ? Result.succeed(BigInt(value))
        : Result.fail("")
  if (Result.isFailure(duration)) {
    return wrong(`${name} must be a duration like "1h30m", or a number of nanoseconds`)
  }
  return duration.success > 0n ? Result.succeed(duration.success) : wrong(`${name} must be positive`)
}

/** Smaller files would be rotated more often than they are read. */
const smallestSize = 4096

const sizeAt = (settings: Settings, key: string, otherwise: number): Result.Result<number, ConfigError> => {
  const value = settings.get(key)
  if (value === undefined) return Result.succeed(otherwise)
  const [, digits, unit = ""] = /^(\d{1,12})\s*([kMG]?B)?$/i.exec(String(value)) ?? []
  const bytes = Number(digits) * (sizeUnits.get(unit.toUpperCase()) ?? 1)
  return Number.isSafeInteger(bytes) && bytes >= smallestSize
    ? Result.succeed(bytes)
    : wrong(`${key} must be a size like "10MB", or a number of bytes, of at least ${smallestSize}`)
}

const sizeUnits: ReadonlyMap<string, number> = new Map([
  ["KB", 1e3],
  ["MB", 1e6],
  ["GB", 1e9]
])

/** A whole number above 0. */
const countAt = (
  settings: Settings,
  key: string,
  otherwise: number,
  name = key
): Result.Result<number, ConfigError> => {
  const value = settings.get(key) ?? otherwise
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0
    ? Result.succeed(value)
    : wrong(`${name} must be a whole number above 0`)
}

const flagAt = (settings: Settings, key: string, name: string): Result.Result<boolean, ConfigError> => {
  const value = settings.get(key) ?? false
  return typeof value === "boolean" ? Result.succeed(value) : wrong(`${name} must be true or false`)
}

const socketAccessIn = (settings: Settings): Result.Result<SocketAccess, ConfigError> => {
  const mode = settings.get("socket_mode") ?? "0600"
  const group = settings.get("socket_group") ?? ""
  if (mode !== "0600" && mode !== "0660") return wrong("socket_mode must be 0600 or 0660")
  if (typeof group !== "string") return wrong("socket_group must be the name of a group in quotes")
  if (mode === "0600") return Result.succeed({ mode: 0o600 })
  return group === ""
    ? wrong("socket_group is required when socket_mode is 0660")
    : Result.succeed({ mode: 0o660, group })
}

const samplingIn = (
  settings: Settings,
  environment: Readonly<Record<string, string | undefined>>
): Result.Result<SamplingPolicy, ConfigError> =>
  Result.gen(function* () {
    const events = yield* membersOf(settings.get("events") ?? {}, "events")
    const levelInEnvironment = environment["AGENT_SECRETS_EVENTS_MIN_LEVEL"]
    const given = levelInEnvironment ?? events.get("min_level") ?? standardSampling.minLevel
    const minLevel = levels.find((level) => level === given)
    if (minLevel === undefined) {
      const name = levelInEnvironment === undefined ? "events.min_level" : "AGENT_SECRETS_EVENTS_MIN_LEVEL"
      return yield* wrong(`${name} must be one of ${levels.join(", ")}`)
    }
    const inEnvironment = environment["AGENT_SECRETS_EVENTS_DEBUG_PER_MINUTE"]
    const name = inEnvironment === undefined ? "events.debug_per_minute" : "AGENT_SECRETS_EVENTS_DEBUG_PER_MINUTE"
    const debugPerMinute = Number(inEnvironment ?? events.get("debug_per_minute") ?? standardSampling.debugPerMinute)
    return Number.isSafeInteger(debugPerMinute) && debugPerMinute >= 0
      ? { minLevel, debugPerMinute }
      : yield* wrong(`${name} must be a whole number`)
  })

const heartbeatIn = (settings: Settings): Result.Result<HeartbeatSettings | undefined, ConfigError> =>
  Result.gen(function* () {
    if (!settings.has("heartbeat")) return undefined
    const heartbeat = yield* membersOf(settings.get("heartbeat"), "heartbeat")
    const enabled = yield* flagAt(heartbeat, "enabled", "heartbeat.enabled")
    const action = yield* membersOf(heartbeat.get("fail_action") ?? {}, "heartbeat.fail_action")
    const url = heartbeat.get("url") ?? ""
    const maxFailures = yield* countAt(heartbeat, "max_failures", 1, "heartbeat.max_failures")
    if (typeof url !== "string" || (url !== "" && !/^https?:\/\/./.test(url))) {
      return yield* wrong("heartbeat.url must be an http or https address")
    }
    if (enabled && url === "") return yield* wrong("heartbeat.url required when heartbeat enabled")
    const read: HeartbeatSettings = {
      url,
      interval: yield* durationAt(heartbeat, "interval", minute, "heartbeat.interval"),
      timeout: yield* durationAt(heartbeat, "timeout", 10n * second, "heartbeat.timeout"),
      maxFailures,
      failAction: {
        revokeAll: yield* flagAt(action, "revoke_all", "heartbeat.fail_action.revoke_all"),
        rotateAll: yield* flagAt(action, "rotate_all", "heartbeat.fail_action.rotate_all"),
        wipeStore: yield* flagAt(action, "wipe_store", "heartbeat.fail_action.wipe_store")
      }
    }
    return enabled ? read : undefined
  })
