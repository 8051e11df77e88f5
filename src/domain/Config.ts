/**
 * The settings: where things are and how long leases last.
 *
 * Read from config.json, which the predecessor's command and ours share. Durations
 * are nanosecond numbers, as the predecessor reads them, or texts like "1h". Keys
 * that are not known here are somebody else's and are passed over. Paths that are
 * not given lie in the state directory. Each setting is described once, in `settings`:
 * the docs and the JSON Schema are made from that. Source: protocol specification, 9.5.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as path from "node:path"
import type { GoDuration } from "./GoDuration.ts"
import { minute, second } from "./GoDuration.ts"
import { defaultMaxLeases } from "./Lease.ts"
import type { OtlpConfig } from "./OtlpConfig.ts"
import { otlp, otlpIn } from "./OtlpConfig.ts"
import type { SamplingPolicy } from "./Sampling.ts"
import { levels, standardSampling } from "./Sampling.ts"
import type { FileSetting, Form, Section, Setting } from "./Setting.ts"
import * as kind from "./Setting.ts"
import { needsIf, sectionOf, valueIn } from "./Setting.ts"
import type { TtlPolicy } from "./Ttl.ts"
import { defaultTtlPolicy } from "./Ttl.ts"

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

/** Smaller files would be rotated more often than they are read. */
const smallestSize = 4096

const general = {
  directory: kind.path("directory", "the state directory", "~/.agent-secrets"),
  socketPath: kind.file("socket_path", "the socket", "agent-secrets.sock"),
  socketMode: kind.oneOf(
    "socket_mode",
    "who may use the socket: its owner, or with 0660 a group as well",
    ["0600", "0660"],
    "0600",
    "0600 or 0660"
  ),
  socketGroup: kind.text("socket_group", "that group, by its name; needed with 0660", {
    expected: "the name of a group in quotes"
  }),
  identityPath: kind.file("identity_path", "the key of the store", "identity.age"),
  secretsPath: kind.file("secrets_path", "the store", "secrets.age"),
  auditPath: kind.file("audit_path", "the audit log", "audit.log"),
  leasesPath: kind.file("leases_path", "the checkpoint of the leases", "leases.json"),
  defaultTtl: kind.duration(
    "default_lease_ttl",
    "how long a lease lasts that asks for nothing",
    defaultTtlPolicy.default
  ),
  maximumTtl: kind.duration(
    "max_lease_ttl",
    "how long a lease may last; not below default_lease_ttl",
    defaultTtlPolicy.maximum
  ),
  leaseCapacity: kind.count("max_active_leases", "how many active leases there may be", defaultMaxLeases),
  auditMaxSize: kind.size(
    "audit_max_size",
    "when a file of the audit log is closed: bytes, or a text with kB, MB or GB",
    standardRotation.maxSize,
    smallestSize
  ),
  auditMaxFiles: kind.count(
    "audit_max_files",
    "how many closed files of the audit log are kept",
    standardRotation.maxFiles
  ),
  rotationTimeout: kind.duration(
    "rotation_timeout",
    "how long the command that rotates a secret may take",
    30n * second
  )
}

const events = {
  section: kind.section("events", "which events are sent"),
  minLevel: kind.oneOf("events.min_level", "events below this level are not sent", levels, standardSampling.minLevel),
  debugPerMinute: kind.amount(
    "events.debug_per_minute",
    "how many debug events of one action are sent within a minute",
    standardSampling.debugPerMinute
  )
}

const heartbeat = {
  section: kind.section("heartbeat", "the dead man's switch", needsIf("enabled", true, "url")),
  enabled: kind.flag("heartbeat.enabled", "whether the switch is on"),
  url: kind.text("heartbeat.url", "the address that is asked; needed if the switch is on", {
    expected: "an http or https address",
    pattern: /^$|^https?:\/\/./
  }),
  interval: kind.duration("heartbeat.interval", "how often the address is asked", minute),
  timeout: kind.duration("heartbeat.timeout", "how long an answer may take", 10n * second),
  maxFailures: kind.count("heartbeat.max_failures", "after how many failures in a row the switch fires", 1),
  failAction: kind.section("heartbeat.fail_action", "what is done when the switch fires"),
  revokeAll: kind.flag("heartbeat.fail_action.revoke_all", "revoke all leases"),
  rotateAll: kind.flag("heartbeat.fail_action.rotate_all", "rotate all secrets that have a rotation command"),
  wipeStore: kind.flag("heartbeat.fail_action.wipe_store", "remove every secret and the backup of the store")
}

/** All of them, a section before what is in it. */
export const settings: ReadonlyArray<Setting<unknown>> = [general, events, otlp, heartbeat].flatMap(
  (group): ReadonlyArray<Setting<unknown>> => Object.values(group)
)

/** What the form says of the file beside that. */
export const rules: Form = needsIf("socket_mode", "0660", "socket_group")

/** The settings where nothing is set; `home` is the home directory. */
export const standard = (home: string): Config => inDirectory(path.join(home, ".agent-secrets"))

type Environment = Readonly<Record<string, string | undefined>>

/** Reads the text of a config.json. What `environment` sets goes before it. */
export const decode = (text: string, home: string, environment: Environment = {}): Result.Result<Config, ConfigError> =>
  Result.try({ try: (): unknown => JSON.parse(text), catch: () => "the file is not JSON" }).pipe(
    Result.flatMap((parsed) => sectionOf(parsed, "the file")),
    Result.flatMap((file) => configIn(file, home, environment)),
    Result.mapError((reason) => new ConfigError({ reason }))
  )

const configIn = (file: Section, home: string, environment: Environment): Result.Result<Config, string> =>
  Result.gen(function* () {
    const base = inDirectory((yield* valueIn(file, general.directory, home)) ?? standard(home).directory)
    const config: Config = {
      directory: base.directory,
      socketPath: (yield* valueIn(file, general.socketPath, home)) ?? base.socketPath,
      identityPath: (yield* valueIn(file, general.identityPath, home)) ?? base.identityPath,
      secretsPath: (yield* valueIn(file, general.secretsPath, home)) ?? base.secretsPath,
      auditPath: (yield* valueIn(file, general.auditPath, home)) ?? base.auditPath,
      leasesPath: (yield* valueIn(file, general.leasesPath, home)) ?? base.leasesPath,
      auditRotation: {
        maxSize: yield* valueIn(file, general.auditMaxSize),
        maxFiles: yield* valueIn(file, general.auditMaxFiles)
      },
      ttl: {
        default: yield* valueIn(file, general.defaultTtl),
        maximum: yield* valueIn(file, general.maximumTtl)
      },
      leaseCapacity: yield* valueIn(file, general.leaseCapacity),
      socketAccess: yield* socketAccessIn(file),
      rotationTimeout: yield* valueIn(file, general.rotationTimeout),
      sampling: yield* samplingIn(file, environment),
      otlp: yield* otlpIn(file),
      heartbeat: yield* heartbeatIn(file)
    }
    if (config.ttl.maximum < config.ttl.default) {
      return yield* Result.fail("max_lease_ttl must be >= default_lease_ttl")
    }
    const paths = [config.socketPath, config.identityPath, config.secretsPath, config.auditPath, config.leasesPath]
    const twice = paths.find((one, at) => paths.indexOf(one) < at)
    if (twice !== undefined) return yield* Result.fail(`two of the paths are the same: ${twice}`)
    return config
  })

const inDirectory = (directory: string): Config => {
  const placed = ({ file }: FileSetting) => path.join(directory, file)
  return {
    directory,
    socketPath: placed(general.socketPath),
    identityPath: placed(general.identityPath),
    secretsPath: placed(general.secretsPath),
    auditPath: placed(general.auditPath),
    leasesPath: placed(general.leasesPath),
    auditRotation: standardRotation,
    ttl: defaultTtlPolicy,
    leaseCapacity: defaultMaxLeases,
    socketAccess: { mode: 0o600 },
    rotationTimeout: general.rotationTimeout.standard,
    sampling: standardSampling,
    otlp: undefined,
    heartbeat: undefined
  }
}

const socketAccessIn = (file: Section): Result.Result<SocketAccess, string> =>
  Result.gen(function* () {
    const mode = yield* valueIn(file, general.socketMode)
    const group = yield* valueIn(file, general.socketGroup)
    if (mode === "0600") return { mode: 0o600 } as const
    if (group === "") return yield* Result.fail("socket_group is required when socket_mode is 0660")
    return { mode: 0o660, group } as const
  })

const samplingIn = (file: Section, environment: Environment): Result.Result<SamplingPolicy, string> =>
  Result.gen(function* () {
    const given = (yield* valueIn(file, events.section)) ?? new Map()
    const either = <A>(variable: string, setting: Setting<A>) => {
      const value = environment[variable]
      return value === undefined ? valueIn(given, setting) : setting.read(value, variable, "")
    }
    return {
      minLevel: yield* either("AGENT_SECRETS_EVENTS_MIN_LEVEL", events.minLevel),
      debugPerMinute: yield* either("AGENT_SECRETS_EVENTS_DEBUG_PER_MINUTE", events.debugPerMinute)
    }
  })

const heartbeatIn = (file: Section): Result.Result<HeartbeatSettings | undefined, string> =>
  Result.gen(function* () {
    const given = yield* valueIn(file, heartbeat.section)
    if (given === undefined) return undefined
    const enabled = yield* valueIn(given, heartbeat.enabled)
    const action = (yield* valueIn(given, heartbeat.failAction)) ?? new Map()
    const maxFailures = yield* valueIn(given, heartbeat.maxFailures)
    const url = yield* valueIn(given, heartbeat.url)
    if (enabled && url === "") return yield* Result.fail("heartbeat.url required when heartbeat enabled")
    const read: HeartbeatSettings = {
      url,
      interval: yield* valueIn(given, heartbeat.interval),
      timeout: yield* valueIn(given, heartbeat.timeout),
      maxFailures,
      failAction: {
        revokeAll: yield* valueIn(action, heartbeat.revokeAll),
        rotateAll: yield* valueIn(action, heartbeat.rotateAll),
        wipeStore: yield* valueIn(action, heartbeat.wipeStore)
      }
    }
    return enabled ? read : undefined
  })
