/**
 * config.json: every setting has a default, durations are text or nanoseconds, unknown
 * keys are allowed, and errors name the key. The predecessor reads the same file
 * (protocol specification, 9.5).
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { decodeConfig } from "../../src/domain/Config.ts"
import { defaultConfig } from "../../src/domain/defaultConfig.ts"
import { formatGoDuration, hour, millisecond, minute, second } from "../../src/domain/GoDuration.ts"

const home = "/home/somebody"
const decoded = (settings: object) => Result.getOrThrow(decodeConfig(JSON.stringify(settings), home))
const read = (settings: object) => decoded(settings).config
const refusal = (text: string) => Result.getOrThrow(Result.flip(decodeConfig(text, home))).message
const defaults = read({})

const paths = {
  socket_path: "socketPath",
  identity_path: "identityPath",
  secrets_path: "secretsPath",
  audit_path: "auditPath",
  leases_path: "leasesPath"
} as const
const keys = Object.keys(paths) as ReadonlyArray<keyof typeof paths>

describe("the defaults", () => {
  it("put everything into ~/.agent-secrets and lease for an hour", () => {
    assert.deepStrictEqual(defaults, {
      directory: "/home/somebody/.agent-secrets",
      socketPath: "/home/somebody/.agent-secrets/agent-secrets.sock",
      identityPath: "/home/somebody/.agent-secrets/identity.age",
      secretsPath: "/home/somebody/.agent-secrets/secrets.age",
      auditPath: "/home/somebody/.agent-secrets/audit.log",
      leasesPath: "/home/somebody/.agent-secrets/leases.json",
      ttl: { default: hour, maximum: 24n * hour },
      maxActiveLeases: 300_000,
      sampling: { minLevel: "info", debugPerMinute: 12 },
      otlp: undefined,
      auditRotation: { maxSize: 10_000_000, maxFiles: 5 },
      socketAccess: { mode: 0o600 },
      otherSockets: [],
      auditWitness: undefined,
      policy: undefined,
      approval: { command: undefined, notify: undefined, open: 10n * minute, timeout: minute },
      helpers: undefined,
      mcp: {
        tools: ["list_secrets", "run_with_secrets", "request_secret", "list_leases", "revoke_leases"],
        commands: ["*"],
        timeout: 50n * second,
        max_timeout: 10n * minute,
        max_output: 16_000,
        audit: "own",
        clients: {}
      },
      proxyRoutes: [],
      rotationTimeout: 30n * second,
      heartbeat: undefined,
      team: undefined,
      trustedProjects: []
    })
  })

  it("are the same without a config.json", () => {
    assert.deepStrictEqual(defaultConfig(home), defaults)
  })
})

describe("decodeConfig", () => {
  it.each([
    [
      { git: { "https://github.com": { secret: 5 } } },
      "helpers.git.https://github.com.secret must be the name of a secret"
    ],
    [{ git: { "https://github.com": {} } }, "helpers.git.https://github.com.secret must be the name of a secret"],
    [{ git: { "https://github.com": 5 } }, "helpers.git.https://github.com must be a JSON object"],
    [
      { git: { "https://me:pw@github.com": { secret: "x" } } },
      "helpers.git has a target (number 1) that is not named by an https address"
    ],
    [
      { git: { "http://github.com": { secret: "x" } } },
      "helpers.git has a target (number 1) that is not named by an https address"
    ],
    [
      { git: { "https://github.com/../x": { secret: "x" } } },
      "helpers.git has a target (number 1) that is not named by an https address"
    ],
    [
      { git: { "https://github.com": { secrt: "x", secret: "y" } } },
      "helpers.git.https://github.com.secrt is not a setting: did you mean helpers.git.https://github.com.secret?"
    ],
    [{ docker: { "ghcr.io": { secret: "x" } } }, "helpers.docker.ghcr.io.username must be a text of one line"],
    [
      { docker: { "a b": { secret: "x", username: "y" } } },
      "helpers.docker has a target (number 1) that is not named by a registry"
    ],
    [{ aws: { deploy: {} } }, "helpers.aws.deploy.access_key_id or secret is required"],
    [
      { aws: { deploy: { access_key_id: "x" } } },
      "helpers.aws.deploy.secret_access_key is required with access_key_id"
    ],
    [{ aws: { deploy: { secret: "x", session_token: "y" } } }, "helpers.aws.deploy.secret excludes the other secrets"],
    [
      { aws: { deploy: { secret: "x", ttl: "10m" } } },
      'helpers.aws.deploy.ttl must be a duration from 20m to 8760h like "10s", or a number of nanoseconds'
    ],
    [{ kubernetes: { prod: { client_key: "x" } } }, "helpers.kubernetes.prod.secret is required"],
    [
      { kubernetes: { prod: { client_certificate: "x" } } },
      "helpers.kubernetes.prod.client_key is required with the other one"
    ],
    [
      { terraform: { "https://app.terraform.io": { secret: "x" } } },
      "helpers.terraform has a target (number 1) that is not named by a host"
    ],
    [
      { cargo: { local: { secret: "x" } } },
      "helpers.cargo has a target (number 1) that is not named by the URL of an index"
    ],
    [{ gti: {} }, "helpers.gti is not a setting: did you mean helpers.git?"],
    [{ ttl: "1d" }, 'helpers.ttl must be a positive duration like "1h30m", or a number of nanoseconds']
  ])("rejects the helpers %j, and names the place", (helpers, reason) => {
    const said = refusal(JSON.stringify({ helpers }))
    assert.strictEqual(said, `config: ${reason}`)
    assert.notInclude(said, "pw@")
  })

  it.each([
    [{ polices: [{ secrets: ["a"] }] }, "polices is not a setting: did you mean policy?"],
    [{ sockts: [] }, "sockts is not a setting: did you mean sockets?"],
    [{ policy: [{ secrets: ["a"], client: ["c"] }] }, "policy[0].client is not a key of a rule: did you mean clients?"],
    [
      { policy: [null, { secret: ["a"] }] },
      "policy[1].secret is not a key of a rule: did you mean secrets?; policy must be a list of at most 1000 rules, each a JSON object; policy[1].secrets must be a list of 1 to 100 globs"
    ],
    [{ mcp: { tool: [] } }, "mcp.tool is not a setting: did you mean mcp.tools?"],
    [
      { mcp: { clients: { "codex*": { comands: [] } } } },
      "mcp.clients.codex*.comands is not a setting: did you mean mcp.clients.codex*.commands?"
    ]
  ])("rejects %j, which would permit more than was meant", (settings, reason) => {
    assert.strictEqual(refusal(JSON.stringify(settings)), `config: ${reason}`)
  })

  it("names everything that is wrong in one message", () => {
    const settings = {
      polices: [],
      policy: [{ secrets: ["*"], viaa: ["x"], clint: ["y"] }, { secrets: "a" }],
      mcp: { tool: [] },
      socket_mode: "0777",
      helpers: { gti: {} }
    }
    const said = refusal(JSON.stringify(settings))
    for (const key of ["polices", "policy[0].viaa", "policy[0].clint", "policy[1].secrets", "mcp.tool", "socket_mode"])
      assert.include(said, `${key} `)
    assert.include(said, "helpers.gti ")
  })

  it.each(keys)("changes only the path that %s names", (key) => {
    assert.deepStrictEqual(read({ [key]: "/srv/elsewhere" }), { ...defaults, [paths[key]]: "/srv/elsewhere" })
  })

  it("moves all paths without a setting with the directory", () => {
    const moved = read({ directory: "/srv/secrets" })
    assert.strictEqual(moved.directory, "/srv/secrets")
    for (const path of Object.values(paths)) {
      const name = defaults[path].slice(defaults.directory.length)
      assert.strictEqual(moved[path], `/srv/secrets${name}`)
    }
    assert.strictEqual(read({ directory: "/srv/secrets", audit_path: "/var/log/a" }).auditPath, "/var/log/a")
  })

  it("expands ~/ to the home directory", () => {
    assert.strictEqual(read({ directory: "~/vault" }).secretsPath, "/home/somebody/vault/secrets.age")
  })

  it("rejects a policy that is null, and limits of it that are: absent, they would permit more", () => {
    const rule = { secrets: ["*"] }
    for (const [given, key] of [
      [{ policy: null }, "policy"],
      ...["clients", "via", "max_ttl", "commands", "reason"].map(
        (name) => [{ policy: [{ ...rule, [name]: null }] }, `policy[0].${name}`] as const
      )
    ] as const) {
      assert.include(refusal(JSON.stringify(given)), key)
    }
  })

  it.each([
    [
      { policy: [{ secrets: ["*"] }, { secrets: ["*"], max_ttl: "25h" }] },
      "policy[1].max_ttl must be <= max_lease_ttl"
    ],
    [{ policy: [{ secrets: ["a", "[a-"] }] }, "policy[0].secrets[1] has a [ without a ] that closes a set"],
    [
      { policy: [{ secrets: ["*"], clients: ["ci/[]"] }] },
      "policy[0].clients[0] has a [ without a ] that closes a set"
    ],
    [
      { policy: [{ secrets: ["*"], commands: ["[z-a]"] }] },
      "policy[0].commands[0] has a range in [ ] that goes backwards"
    ],
    [{ policy: [{ secrets: ["*"], via: ["helper:[g"] }] }, "policy[0].via[0] has a [ without a ] that closes a set"],
    [{ mcp: { commands: ["[a-"] } }, "mcp.commands[0] has a [ without a ] that closes a set"],
    [
      { approval: { command: "zenity --question" } },
      "approval.command must be a program without spaces, or a list of a program and its arguments"
    ],
    [
      { approval: { notify: "" } },
      "approval.notify must be a program without spaces, or a list of a program and its arguments"
    ]
  ])("rejects what can never apply as it is written: %j", (given, expected) => {
    assert.include(refusal(JSON.stringify(given)), expected)
  })

  it("accepts a limit of a rule up to the maximum, and sets that are closed", () => {
    const rule = { secrets: ["[a-z]*", "a]", "[!x]"], max_ttl: "48h" }
    assert.strictEqual(read({ max_lease_ttl: "48h", policy: [rule] }).policy?.[0]?.maxTtl, 48n * hour)
    assert.deepStrictEqual(read({ approval: { command: "ssh-askpass" } }).approval.command, ["ssh-askpass"])
  })

  it("treats null as absent", () => {
    const settings = Object.fromEntries([...keys, "directory", "max_lease_ttl"].map((key) => [key, null]))
    assert.deepStrictEqual(read(settings), defaults)
  })

  it("allows unknown keys", () => {
    assert.deepStrictEqual(read({ theirs: { enabled: true }, "": 3, Directory: "/srv" }), defaults)
  })

  it.each([
    [{ default_lease_ttl: 60_000_000_000 }, { default: minute, maximum: 24n * hour }],
    [{ default_lease_ttl: "90m" }, { default: 90n * minute, maximum: 24n * hour }],
    [
      { default_lease_ttl: "2h", max_lease_ttl: "2h" },
      { default: 2n * hour, maximum: 2n * hour }
    ],
    // A year: its nanoseconds are above Number.MAX_SAFE_INTEGER, but exact.
    [{ max_lease_ttl: 31_536_000_000_000_000 }, { default: hour, maximum: 8_760n * hour }]
  ])("reads the durations in %j", (settings, ttl) => {
    assert.deepStrictEqual(read(settings).ttl, ttl)
  })

  it.prop(
    "reads a duration alike from a number and from text",
    [Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3_600_000_000_000 }))],
    ([nanos]) => {
      const asNumber = read({ default_lease_ttl: nanos })
      assert.strictEqual(asNumber.ttl.default, BigInt(nanos))
      assert.deepStrictEqual(read({ default_lease_ttl: formatGoDuration(BigInt(nanos)) }), asNumber)
    }
  )

  it.each([
    [{ audit_max_size: "10MB" }, 10_000_000],
    [{ audit_max_size: "1 gb" }, 1_000_000_000],
    [{ audit_max_size: "500kB" }, 500_000],
    [{ audit_max_size: 4096 }, 4096],
    [{ audit_max_size: "8192" }, 8192]
  ])("reads the size in %j", (settings, bytes) => {
    assert.deepStrictEqual(read({ ...settings, audit_max_files: 2 }).auditRotation, { maxSize: bytes, maxFiles: 2 })
  })

  it("reads which events are sent, and the environment takes precedence over the file", () => {
    const settings = JSON.stringify({ events: { min_level: "debug", debug_per_minute: 0 } })
    const sampling = (environment: Record<string, string>) =>
      Result.getOrThrow(decodeConfig(settings, home, environment)).config.sampling
    assert.deepStrictEqual(sampling({}), { minLevel: "debug", debugPerMinute: 0 })
    assert.deepStrictEqual(
      sampling({ AGENT_SECRETS_EVENTS_MIN_LEVEL: "error", AGENT_SECRETS_EVENTS_DEBUG_PER_MINUTE: "60" }),
      { minLevel: "error", debugPerMinute: 60 }
    )
    assert.deepStrictEqual(sampling({ AGENT_SECRETS_EVENTS_MIN_LEVEL: "" }), { minLevel: "debug", debugPerMinute: 0 })
    const wrong = Result.getOrThrow(Result.flip(decodeConfig("{}", home, { AGENT_SECRETS_EVENTS_MIN_LEVEL: "loud" })))
    assert.strictEqual(wrong.message, "config: AGENT_SECRETS_EVENTS_MIN_LEVEL must be one of debug, info, warn, error")
  })

  it("reads the address of a collector, and fills in the defaults", () => {
    const endpoint = "http://127.0.0.1:4318"
    assert.deepStrictEqual(read({ otlp: { endpoint } }).otlp, {
      endpoint,
      protocol: "http/json",
      headers: {},
      timeout: 10n * second,
      signals: ["logs", "traces", "metrics"]
    })
    const otlp = {
      endpoint,
      protocol: "http/protobuf" as const,
      headers: { authorization: "Bearer a, b=c" },
      timeout: "1.5s",
      signals: ["metrics", "logs"]
    }
    assert.deepStrictEqual(read({ otlp }).otlp, { ...otlp, timeout: 1500n * millisecond, signals: ["logs", "metrics"] })
    assert.isUndefined(read({ otlp: null }).otlp)
  })

  it("warns of keys that look like misspelled settings, in every section", () => {
    const { config, warnings } = decoded({
      socket_pth: "/srv/s.sock",
      Directory: "/srv",
      comment: "hush",
      events: { minlevel: "debug" },
      heartbeat: { fail_action: { wipe_stores: true } },
      otlp: { endpoint: "http://a", headers: { endpoint: "b" }, signal: ["logs"] }
    })
    assert.deepStrictEqual(warnings, [
      "socket_pth is not a setting: did you mean socket_path?",
      "Directory is not a setting: did you mean directory?",
      "events.minlevel is not a setting: did you mean events.min_level?",
      "heartbeat.fail_action.wipe_stores is not a setting: did you mean heartbeat.fail_action.wipe_store?",
      "otlp.signal is not a setting: did you mean otlp.signals?"
    ])
    assert.strictEqual(config.socketPath, defaults.socketPath)
    assert.deepStrictEqual(decoded({ $schema: 5, theirs: { socket_pth: 1 }, events: null }).warnings, [])
  })

  const notASize = `must be a size like "10MB", or a number of bytes, of at least 4096`
  const notADuration = `must be a positive duration like "1h30m", or a number of nanoseconds`
  it.each([
    ["{", "config: the file is not JSON (line 1 column 2)"],
    ['{\n  "policy": [],\n}', "config: the file is not JSON (line 3 column 1)"],
    ["", "config: the file is not JSON"],
    ["null", "config: the file must be a JSON object"],
    ["[]", "config: the file must be a JSON object"],
    [`"text"`, "config: the file must be a JSON object"],
    [`{"directory":""}`, "config: directory must be an absolute path, or begin with ~/"],
    [`{"socket_path":""}`, "config: socket_path must be an absolute path, or begin with ~/"],
    [`{"socket_path":5}`, "config: socket_path must be an absolute path, or begin with ~/"],
    [`{"leases_path":"leases.json"}`, "config: leases_path must be an absolute path, or begin with ~/"],
    [`{"audit_path":"~other/audit.log"}`, "config: audit_path must be an absolute path, or begin with ~/"],
    [`{"default_lease_ttl":0}`, `config: default_lease_ttl ${notADuration}`],
    [`{"default_lease_ttl":"-1h"}`, `config: default_lease_ttl ${notADuration}`],
    [`{"max_lease_ttl":-1}`, `config: max_lease_ttl ${notADuration}`],
    [`{"max_lease_ttl":"1d"}`, `config: max_lease_ttl ${notADuration}`],
    [`{"max_lease_ttl":""}`, `config: max_lease_ttl ${notADuration}`],
    [`{"max_lease_ttl":1.5}`, `config: max_lease_ttl ${notADuration}`],
    [`{"max_lease_ttl":1e300}`, `config: max_lease_ttl ${notADuration}`],
    [`{"max_lease_ttl":true}`, `config: max_lease_ttl ${notADuration}`],
    [`{"max_lease_ttl":"59m"}`, "config: max_lease_ttl must be >= default_lease_ttl"],
    [`{"audit_path":"/srv/a","leases_path":"/srv/a"}`, "config: leases_path must be another path than audit_path"],
    [`{"audit_max_size":"4KB"}`, `config: audit_max_size ${notASize}`],
    [`{"audit_max_size":-5}`, `config: audit_max_size ${notASize}`],
    [`{"audit_max_size":"10 MiB"}`, `config: audit_max_size ${notASize}`],
    [`{"audit_max_size":true}`, `config: audit_max_size ${notASize}`],
    [`{"events":{"min_level":"trace"}}`, "config: events.min_level must be one of debug, info, warn, error"],
    [`{"events":{"debug_per_minute":-1}}`, "config: events.debug_per_minute must be a whole number"],
    [`{"otlp":"http://127.0.0.1:4318"}`, "config: otlp must be a JSON object"],
    [`{"otlp":{}}`, "config: otlp.endpoint must be an http or https address"],
    [`{"otlp":{"endpoint":"user:hush@host"}}`, "config: otlp.endpoint must be an http or https address"],
    [
      `{"otlp":{"endpoint":"http://a","protocol":"grpc"}}`,
      "config: otlp.protocol must be one of http/json, http/protobuf"
    ],
    [`{"otlp":{"endpoint":"http://a","headers":["hush"]}}`, "config: otlp.headers must be a JSON object"],
    [
      `{"otlp":{"endpoint":"http://a","headers":{"a b":"hush"}}}`,
      "config: otlp.headers must have names of HTTP headers"
    ],
    [
      `{"otlp":{"endpoint":"http://a","headers":{"x-key":"hush\\nhush"}}}`,
      "config: otlp.headers.x-key must be a text of one line"
    ],
    [
      `{"otlp":{"endpoint":"http://a","timeout":"0s"}}`,
      `config: otlp.timeout must be a duration from 1ms to 1h like "10s", or a number of nanoseconds`
    ],
    [
      `{"otlp":{"endpoint":"http://a","signals":[]}}`,
      "config: otlp.signals must be a list of some of logs, traces, metrics"
    ],
    [
      `{"otlp":{"endpoint":"http://a","signals":["spans"]}}`,
      "config: otlp.signals must be a list of some of logs, traces, metrics"
    ],
    [`{"events":[]}`, "config: events must be a JSON object"],
    [`{"audit_max_files":0}`, "config: audit_max_files must be a whole number above 0"],
    [`{"audit_max_files":"5"}`, "config: audit_max_files must be a whole number above 0"],
    [`{"default_lease_ttl":"25h"}`, "config: max_lease_ttl must be >= default_lease_ttl"],
    [`{"socket_mode":"0666"}`, "config: socket_mode must be 0600 or 0660"],
    [`{"socket_mode":"0660"}`, "config: socket_group is required when socket_mode is 0660"],
    [`{"socket_group":["hush"]}`, "config: socket_group must be the name of a group"],
    [`{"heartbeat":{"enabled":true}}`, "config: heartbeat.url required when heartbeat enabled"],
    [`{"heartbeat":{"url":"hush"}}`, "config: heartbeat.url must be an http or https address"],
    [`{"heartbeat":{"enabled":true,"url":"http://h ush/"}}`, "config: heartbeat.url must be an http or https address"],
    [
      `{"heartbeat":{"enabled":true,"url":"http://u:hush@host/"}}`,
      "config: heartbeat.url must not contain a user name or a password"
    ],
    [
      `{"heartbeat":{"enabled":true,"url":"http://hush:10080/"}}`,
      "config: heartbeat.url must have another port: fetch does not send requests to this one"
    ],
    [
      `{"heartbeat":{"fail_action":{"wipe_store":1}}}`,
      "config: heartbeat.fail_action.wipe_store must be true or false"
    ],
    [
      `{"directory":"hush","audit_max_files":0,"otlp":{"headers":{"a":5}}}`,
      "config: directory must be an absolute path, or begin with ~/; audit_max_files must be a whole number above 0; " +
        "otlp.endpoint must be an http or https address; otlp.headers.a must be a text of one line"
    ]
  ])("rejects %s", (text, message) => {
    assert.strictEqual(refusal(text), message)
  })
})
