/**
 * config.json: the settings, their defaults, and how the file is decoded. The predecessor's
 * command reads the same file. Unknown keys are allowed, since they may be another
 * program's; a likely misspelling gets a warning. An error names the key and what is
 * expected, never the value: it may be a credential.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as path from "node:path"
import { approvalSection } from "./ApprovalConfig.ts"
import { hour, minute, second } from "./GoDuration.ts"
import { closestMatch } from "./closestMatch.ts"
import { defaults, fileNames } from "./settingDefaults.ts"
import { helpersSection } from "./HelperConfig.ts"
import { parseJsonFile } from "./jsonFile.ts"
import { mcpSection } from "./McpConfig.ts"
import { clientIdExpected, clientIdPattern } from "./paths.ts"
import { policySection, ruleFrom, unknownRuleKeys } from "./PolicyConfig.ts"
import { proxySection, routesFrom } from "./ProxyConfig.ts"
import { accessFrom, overlappingClients, socketFrom, socketGroup, socketMode, socketSection } from "./SocketConfig.ts"
import { ownSocket, privateSocketName, proxySocketName } from "./ListenSocket.ts"
import * as Setting from "./Setting.ts"
import { addressProblem } from "./webAddress.ts"
import { optionalSetting, section, setting } from "./Setting.ts"
import { type TeamSettings, teamProblem, teamSection } from "./TeamConfig.ts"
import { levels, samplingVariables } from "./telemetry.ts"
import { eventsSection, otlpSection } from "./TelemetryConfig.ts"

/** Names every setting that is wrong. */
export class ConfigError extends Schema.TaggedError<ConfigError>()("ConfigError", { reason: Schema.String }) {
  override get message() {
    return `config: ${this.reason}`
  }
}

const file = (key: keyof typeof fileNames, description: string) =>
  optionalSetting(Setting.filePath, `${description}; ${fileNames[key]} in the directory if not set`)

/** Smaller files would be rotated more often than they are read. */
const minAuditSize = 4096

const heartbeat = section({
  enabled: setting(Setting.flag, "whether the switch is on", false),
  url: setting(
    Setting.text(/^$|^https?:\/\/./u, "an http or https address"),
    "the address that is requested; required when enabled",
    ""
  ),
  interval: setting(Setting.duration(), "the interval between two requests", minute),
  timeout: setting(Setting.duration(), "how long a response may take", 10n * second),
  max_failures: setting(
    Setting.count,
    "the number of consecutive failures after which the switch fires; rotate_all and wipe_store wait for three",
    1
  ),
  fail_action: Setting.subsection(
    section({
      revoke_all: setting(Setting.flag, "revoke all leases", false),
      rotate_all: setting(Setting.flag, "rotate all secrets that have a rotation command", false),
      wipe_store: setting(Setting.flag, "remove every secret, the backup of the store and its key", false)
    }),
    "the steps that run when the switch fires",
    {}
  )
}).check(
  Schema.makeFilter(({ enabled, url }) => {
    const problem = enabled && url !== "" ? addressProblem(url) : undefined
    return problem === undefined || { path: ["url"], issue: problem }
  }),
  Setting.requires("enabled", true, "url", "required when heartbeat enabled")
)

const auditWitness = section({
  syslog: setting(Setting.flag, "to syslog, through the program logger", false),
  events: setting(Setting.flag, "as the event audit.witnessed, to the collector and joelclaw", false),
  interval: setting(Setting.duration(), "the interval between two; also at the start and at the stop", hour)
})

/** config.json as it is written; its JSON Schema and the table of settings are generated from this. */
export const ConfigFile = section({
  $schema: optionalSetting(Schema.Unknown, "for editors: the location of the schema of this file"),
  directory: setting(Setting.filePath, "the state directory", "~/.agent-secrets"),
  socket_path: file("socket_path", "the socket"),
  socket_mode: setting(
    socketMode,
    "who may use the socket: its owner, or with 0660 a group as well, in the role operator",
    "0600"
  ),
  socket_group: setting(socketGroup, "the name of that group; required with 0660", ""),
  sockets: setting(
    Schema.Array(socketSection).annotate({ expected: "a list of sockets, each a JSON object" }),
    "further sockets, each with a role",
    []
  ),
  identity_path: file("identity_path", "the key of the store"),
  secrets_path: file("secrets_path", "the store"),
  audit_path: file("audit_path", "the audit log"),
  leases_path: file("leases_path", "the checkpoint of the leases"),
  default_lease_ttl: setting(Setting.duration(), "the TTL of a lease whose request has none", defaults.ttl.default),
  max_lease_ttl: setting(
    Setting.duration(),
    "the maximum TTL of a lease; not below default_lease_ttl",
    defaults.ttl.maximum
  ),
  max_active_leases: setting(Setting.count, "the maximum number of active leases", defaults.maxActiveLeases),
  audit_max_size: setting(
    Setting.size(minAuditSize),
    "the size at which audit.log is rotated: bytes, or a string with kB, MB or GB",
    defaults.auditRotation.maxSize
  ),
  audit_max_files: setting(
    Setting.count,
    "the number of rotated files of the audit log that are kept",
    defaults.auditRotation.maxFiles
  ),
  client_id: optionalSetting(
    Setting.text(clientIdPattern, clientIdExpected),
    "the client id of commands that have none on their command line; the host name if not set"
  ),
  audit_witness: optionalSetting(auditWitness, "where the last audit entry is sent, to prove later what the log was"),
  policy: Setting.limit(
    policySection,
    "who may lease which secret, and through what; the first rule that matches decides"
  ),
  approval: Setting.subsection(approvalSection, "how a person is asked where a rule of the policy has approval", {}),
  helpers: optionalSetting(helpersSection, "which secret `secrets helper` gives to which target"),
  mcp: Setting.subsection(mcpSection, "what `secrets mcp` offers to agents", {}),
  proxy: optionalSetting(proxySection, "where `secrets exec --proxy` may use which secret"),
  rotation_timeout: setting(Setting.duration(), "the time limit of a rotation command", defaults.rotationTimeout),
  events: Setting.subsection(eventsSection, "which events are sent", {}),
  otlp: optionalSetting(
    otlpSection,
    "an OpenTelemetry collector; the environment variables of OpenTelemetry take precedence"
  ),
  heartbeat: optionalSetting(heartbeat, "the dead man's switch"),
  team: optionalSetting(teamSection, "a database that several machines share"),
  trusted_projects: setting(
    Schema.Array(
      Schema.String.check(Schema.isPattern(/^~?\//u, { message: "must be an absolute path, or begin with ~/" }))
    ).annotate({ expected: "a list of absolute paths, or ones that begin with ~/" }),
    "directories whose project files, also deeper ones, `exec` and `env` use without asking; no patterns",
    []
  )
}).check(
  Schema.makeFilter(
    ({ default_lease_ttl, max_lease_ttl }) =>
      max_lease_ttl >= default_lease_ttl || { path: ["max_lease_ttl"], issue: "must be >= default_lease_ttl" }
  ),
  Schema.makeFilter(({ max_lease_ttl, policy = [] }) => {
    const index = policy.findIndex(({ max_ttl = 0n }) => max_ttl > max_lease_ttl)
    return index < 0 || { path: ["policy", index, "max_ttl"], issue: "must be <= max_lease_ttl" }
  }),
  Setting.requires("socket_mode", "0660", "socket_group", "is required when socket_mode is 0660")
)

/** Environment variables that take precedence over the file. */
const Variables = section({
  [samplingVariables.minLevel]: optionalSetting(Setting.oneOf(levels), "takes precedence over events.min_level"),
  [samplingVariables.debugPerMinute]: optionalSetting(Setting.amount, "takes precedence over events.debug_per_minute")
})

/** Lists every setting of config.json. Only errors, warnings and the docs need it, so that a start does not wait for it. */
export const settings = () => (listed ??= Setting.settingsIn(Schema.toEncoded(ConfigFile).ast))
let listed: ReadonlyArray<Setting.Setting> | undefined

const decodeWith = <T, E>(schema: Schema.Codec<T, E>) => {
  const decode = Schema.decodeUnknownResult(schema, { errors: "all" })
  return (given: unknown) => Result.mapError(decode(given), ({ issue }) => [...new Set(problemsIn(issue))])
}
const decodeFile = decodeWith(ConfigFile)
const decodeVariables = decodeWith(Variables)

/** Fails with one message that names everything that is wrong; succeeds if nothing is. */
const failWith = (...problems: ReadonlyArray<string | undefined>): Result.Result<void, ConfigError> => {
  const known = problems.filter((problem) => problem !== undefined)
  return known.length === 0 ? Result.void : Result.fail(errorOf(known))
}

const errorOf = (problems: ReadonlyArray<string>) => new ConfigError({ reason: problems.join("; ") })

/** Decodes the text of a config.json, and warns of each key that looks like a misspelt setting. */
export const decodeConfig = (
  text: string,
  home: string,
  environment: Readonly<Record<string, string | undefined>> = {}
) =>
  Result.gen(function* () {
    const parsed = parseJsonFile(text)
    if ("reason" in parsed) return yield* Result.fail(new ConfigError(parsed))
    const given = parsed.value
    // An empty variable counts as unset.
    const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value))
    const [file, variables] = [decodeFile(given), decodeVariables(set)]
    const unknown = unknownKeys(given)
    const misspelt = misspeltKeys(unknown)
    // A key that is none comes first: it is the cause where another is missing.
    yield* failWith(
      ...unknownRuleKeys(given),
      ...misspeltLimits(misspelt),
      ...unknownKeysIn(unknown, /^(?:helpers|mcp|proxy)\./),
      ...(Result.isFailure(file) ? file.failure : []),
      ...(Result.isFailure(variables) ? variables.failure : [])
    )
    const settings = yield* Result.mapError(file, errorOf)
    const config = configFrom(settings, yield* Result.mapError(variables, errorOf), home)
    yield* failWith(teamProblem(settings.team, given), samePaths(config), overlappingClients(config.otherSockets))
    return { config, warnings: misspelt }
  })

/** Names two settings that would use the same path, or the names that the daemon makes beside a socket. */
export const samePaths = (config: Config): string | undefined => {
  const own = ownSocket(config)
  const sockets = [
    ["socket_path", config.socketPath],
    ...config.otherSockets.map((one, index) => [`sockets[${index}].path`, one.path]),
    ...(own === undefined ? [] : [["the owner's socket", own.path]]),
    ...(config.proxyRoutes.length === 0
      ? []
      : [["the socket of the proxy", path.join(path.dirname(config.socketPath), proxySocketName)]])
  ] as const
  const files = [
    ["identity_path", config.identityPath],
    ["secrets_path", config.secretsPath],
    ["audit_path", config.auditPath],
    ["leases_path", config.leasesPath]
  ] as const
  const [main, ...others] = sockets
  const seen = new Map<string, string>()
  const problem = (key: string, one: string) => {
    const other = seen.get(one)
    return other === undefined ? undefined : `${key} must be another path than ${other}`
  }
  for (const [key = "", at = ""] of [main ?? [], ...files, ...others]) {
    const one = path.normalize(at)
    const found = problem(key, one)
    if (found !== undefined) return found
    seen.set(one, key)
  }
  for (const [key = "", at = ""] of sockets) {
    const found = problem(key, `${path.normalize(at)}.lock`) ?? problem(key, privateSocketName(path.normalize(at)))
    if (found !== undefined) return found
  }
  return undefined
}

/** Names what is wrong, by the annotations of the schema and never by the value. */
const problemsIn = (issue: SchemaIssue.Issue, place: Place = { name: "", setting: "" }): ReadonlyArray<string> => {
  if (issue._tag === "Pointer") return problemsIn(issue.issue, issue.path.reduce(placeBelow, place))
  if ("issues" in issue && issue.issues.length > 0) return issue.issues.flatMap((one) => problemsIn(one, place))
  if ("issue" in issue) return problemsIn(issue.issue, place)
  const { name } = place
  const { message } = ("ast" in issue ? issue.ast.annotations : issue.annotations) ?? {}
  if (typeof message === "string") return [`${name} ${message}`]
  if (name === "") return ["the file must be a JSON object"]
  const expected = expectedOf(place.setting)
  if (expected !== undefined) return [`${name} must be ${expected}`]
  // An item of a list that is no section has no name of its own. A name that is no setting is that of a header in otlp.headers.
  const ofList = expectedOf(place.setting.replace(/\[\]$/, "")) ?? "a text of one line"
  return [`${name.replace(/\[[0-9]+\]$/, "")} must be ${ofList}`]
}

const below = (above: string, key: PropertyKey): string => [above, String(key)].filter(Boolean).join(".")

const expectedOf = (setting: string): string | undefined => knownSettings().get(setting)?.expected

/** A place in the file. */
interface Place {
  readonly name: string
  /** The name of its setting, with `[]` for an index and `*` for a name of the user. */
  readonly setting: string
}

const placeBelow = ({ name, setting }: Place, key: PropertyKey): Place => {
  if (typeof key === "number") return { name: `${name}[${key}]`, setting: `${setting}[]` }
  const isNamed = knownSettings().has(below(setting, "*"))
  return { name: below(name, key), setting: below(setting, isNamed ? "*" : key) }
}

let known: ReadonlyMap<string, Setting.Setting> | undefined
/** Returns the settings and the variables, by their names. */
const knownSettings = () =>
  (known ??= new Map(
    [...settings(), ...Setting.settingsIn(Schema.toEncoded(Variables).ast)].map((one) => [one.name, one])
  ))

/** A key that is no setting, such as `events.min_levl`. */
export interface UnknownKey {
  readonly key: string
  /** The setting that it may be meant for. */
  readonly meant: string | undefined
}

/** Lists the keys that are no settings, also deeper ones. */
export const unknownKeys = (given: unknown, above = "", shown = above): ReadonlyArray<UnknownKey> => {
  if (Array.isArray(given)) return given.flatMap((item: unknown) => unknownKeys(item, `${above.slice(0, -1)}[].`))
  if (typeof given !== "object" || given === null || Object.keys(given).length === 0) return []
  const names = settings().flatMap(({ name }) => (name.startsWith(above) ? [name.slice(above.length)] : []))
  const keys = names.filter((name) => !name.includes("."))
  if (keys.length === 0) return []
  return Object.entries(given).flatMap(([key, value]) => {
    if (keys.includes("*")) return unknownKeys(value, `${above}*.`, `${shown}${key}.`)
    if (keys.includes(key)) return unknownKeys(value, `${above}${key}.`, `${shown}${key}.`)
    const meant = closestMatch(key, keys)
    return [{ key: `${shown}${key}`, meant: meant === undefined ? undefined : `${shown}${meant}` }]
  })
}

/** Names the keys in these sections that are none: what was meant by them would not apply. */
const unknownKeysIn = (keys: ReadonlyArray<UnknownKey>, sections: RegExp): ReadonlyArray<string> =>
  keys.flatMap(({ key, meant }) =>
    sections.test(key)
      ? [`${key} is not a setting: ${meant === undefined ? "see docs/settings.md" : `did you mean ${meant}?`}`]
      : []
  )

/** Names the keys that look like misspelt settings without which the daemon would permit more. */
const misspeltLimits = (warnings: ReadonlyArray<string>): ReadonlyArray<string> =>
  warnings.filter((warning) => /did you mean (policy|sockets|mcp)\?$/.test(warning))

const misspeltKeys = (keys: ReadonlyArray<UnknownKey>): ReadonlyArray<string> =>
  keys.flatMap(({ key, meant }) => (meant === undefined ? [] : [`${key} is not a setting: did you mean ${meant}?`]))

export type Config = ReturnType<typeof configFrom>
export type HeartbeatSettings = NonNullable<Config["heartbeat"]>

const configFrom = (file: typeof ConfigFile.Type, variables: typeof Variables.Type, home: string) => {
  const inHome = (written: string) => (written.startsWith("~/") ? path.join(home, written.slice(2)) : written)
  const directory = inHome(file.directory)
  const pathOf = (key: keyof typeof fileNames) => inHome(file[key] ?? path.join(directory, fileNames[key]))
  return {
    directory,
    socketPath: pathOf("socket_path"),
    identityPath: pathOf("identity_path"),
    secretsPath: pathOf("secrets_path"),
    auditPath: pathOf("audit_path"),
    leasesPath: pathOf("leases_path"),
    auditRotation: { maxSize: file.audit_max_size, maxFiles: file.audit_max_files },
    ttl: { default: file.default_lease_ttl, maximum: file.max_lease_ttl },
    maxActiveLeases: file.max_active_leases,
    socketAccess: accessFrom(file.socket_mode, file.socket_group),
    otherSockets: file.sockets.map((one) => socketFrom(one, inHome(one.path))),
    auditWitness: file.audit_witness,
    policy: file.policy?.map(ruleFrom),
    approval: file.approval,
    helpers: file.helpers,
    mcp: file.mcp,
    proxyRoutes: proxyRoutesFrom(file.proxy, inHome),
    rotationTimeout: file.rotation_timeout,
    sampling: {
      minLevel: variables[samplingVariables.minLevel] ?? file.events.min_level,
      debugPerMinute: variables[samplingVariables.debugPerMinute] ?? file.events.debug_per_minute
    },
    otlp: file.otlp,
    heartbeat: file.heartbeat?.enabled === true ? heartbeatFrom(file.heartbeat) : undefined,
    team: file.team && teamFrom(file.team, inHome),
    trustedProjects: file.trusted_projects.map(inHome)
  }
}

const proxyRoutesFrom = (proxy: typeof proxySection.Type | undefined, inHome: (written: string) => string) =>
  routesFrom(proxy?.routes ?? {}).map((route) => ({
    ...route,
    ca: route.ca === undefined ? undefined : inHome(route.ca)
  }))

const teamFrom = (team: TeamSettings, inHome: (written: string) => string): TeamSettings => {
  const file = (written: string | undefined) => (written === undefined ? undefined : inHome(written))
  const { ca, cert, key, password_file } = team
  return { ...team, ca: file(ca), cert: file(cert), key: file(key), password_file: file(password_file) }
}

const heartbeatFrom = ({ fail_action: action, ...given }: typeof heartbeat.Type) => ({
  url: given.url,
  interval: given.interval,
  timeout: given.timeout,
  maxFailures: given.max_failures,
  failAction: { revokeAll: action.revoke_all, rotateAll: action.rotate_all, wipeStore: action.wipe_store }
})
