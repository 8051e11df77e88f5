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
import { parse } from "./GoDuration.ts"
import type { TtlPolicy } from "./Ttl.ts"
import { standardPolicy } from "./Ttl.ts"

export interface Config {
  readonly directory: string
  readonly socketPath: string
  readonly identityPath: string
  readonly secretsPath: string
  readonly auditPath: string
  readonly leasesPath: string
  readonly ttl: TtlPolicy
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

/** Reads the text of a config.json. */
export const decode = (text: string, home: string): Result.Result<Config, ConfigError> =>
  Result.gen(function* () {
    const parsed = yield* Result.try({
      try: (): unknown => JSON.parse(text),
      catch: () => new ConfigError({ reason: "the file is not JSON" })
    })
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
      return yield* Result.fail(new ConfigError({ reason: "the file must hold a JSON object" }))
    }
    const settings = new Map<string, unknown>(Object.entries(parsed))
    const base = inDirectory(yield* pathAt(settings, "directory", home, standard(home).directory))
    const config: Config = {
      directory: base.directory,
      socketPath: yield* pathAt(settings, "socket_path", home, base.socketPath),
      identityPath: yield* pathAt(settings, "identity_path", home, base.identityPath),
      secretsPath: yield* pathAt(settings, "secrets_path", home, base.secretsPath),
      auditPath: yield* pathAt(settings, "audit_path", home, base.auditPath),
      leasesPath: yield* pathAt(settings, "leases_path", home, base.leasesPath),
      ttl: {
        default: yield* durationAt(settings, "default_lease_ttl", base.ttl.default),
        maximum: yield* durationAt(settings, "max_lease_ttl", base.ttl.maximum)
      }
    }
    if (config.ttl.maximum < config.ttl.default) {
      return yield* Result.fail(new ConfigError({ reason: "max_lease_ttl must be >= default_lease_ttl" }))
    }
    return config
  })

const inDirectory = (directory: string): Config => ({
  directory,
  socketPath: path.join(directory, "agent-secrets.sock"),
  identityPath: path.join(directory, "identity.age"),
  secretsPath: path.join(directory, "secrets.age"),
  auditPath: path.join(directory, "audit.log"),
  leasesPath: path.join(directory, "leases.json"),
  ttl: standardPolicy
})

type Settings = ReadonlyMap<string, unknown>

const pathAt = (
  settings: Settings,
  key: string,
  home: string,
  otherwise: string
): Result.Result<string, ConfigError> => {
  const value = settings.get(key)
  if (value === undefined || value === null) return Result.succeed(otherwise)
  if (typeof value !== "string") return Result.fail(new ConfigError({ reason: `${key} must be a path in quotes` }))
  if (value === "") return Result.fail(new ConfigError({ reason: `${key} cannot be empty` }))
  const whole = value.startsWith("~/") ? path.join(home, value.slice(2)) : value
  return path.isAbsolute(whole)
    ? Result.succeed(whole)
    : Result.fail(new ConfigError({ reason: `${key} must be an absolute path, or begin with ~/` }))
}

const durationAt = (settings: Settings, key: string, otherwise: GoDuration): Result.Result<GoDuration, ConfigError> => {
  const value = settings.get(key)
  if (value === undefined || value === null) return Result.succeed(otherwise)
  const expected = new ConfigError({ reason: `${key} must be a duration like "1h30m", or a number of nanoseconds` })
  const duration =
    typeof value === "string"
      ? parse(value)
      : typeof value === "number" && Number.isInteger(value) && value < 2 ** 63
        ? Result.succeed(BigInt(value))
        : Result.fail("")
  if (Result.isFailure(duration)) return Result.fail(expected)
  return duration.success > 0n
    ? Result.succeed(duration.success)
    : Result.fail(new ConfigError({ reason: `${key} must be positive` }))
}
