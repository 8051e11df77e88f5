/**
 * The JSON Schema of config.json agrees with the daemon, except for the cases listed here.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import { configSchema, document, renewed, schemaFile, schemaText } from "../../scripts/configSchema.ts"
import { decodeConfig, settings } from "../../src/domain/Config.ts"
import { fits } from "../support/jsonSchema.ts"

const schema = configSchema()
const home = "/home/somebody"
const isAccepted = (file: unknown): boolean => Result.isSuccess(decodeConfig(JSON.stringify(file), home))
const endpoint = "http://127.0.0.1:4318"
const url = "https://example.org/alive"

const team = { name: "m1", url: "postgres://as_m1@localhost/secrets?sslmode=verify-full" }

/** Settings that another one requires, so that only that one can be wrong. */
const beside: Readonly<Record<string, object>> = {
  default_lease_ttl: { max_lease_ttl: 2 ** 62 },
  max_lease_ttl: { default_lease_ttl: 1 },
  "team.cert": { key: "/k" },
  "team.key": { cert: "/c" }
}

/** A target of each helper that has targets, with what it needs. */
const targets: Readonly<Record<string, readonly [key: string, needed: object]>> = {
  git: ["https://a.example", { secret: "a" }],
  docker: ["a.example", { secret: "a", username: "b" }],
  aws: ["a", { access_key_id: "a", secret_access_key: "b" }],
  kubernetes: ["a", { secret: "a", client_certificate: "b", client_key: "c" }],
  openclaw: ["*", {}],
  askpass: ["*", { secret: "a" }],
  terraform: ["a.example", { secret: "a" }],
  cargo: ["https://a.example", { secret: "a" }],
  pip: ["https://a.example", { secret: "a" }]
}

const helperWith = (protocol: string, key: string | undefined, value: unknown): object => {
  const [target, needed] = targets[protocol] ?? ["", {}]
  const isWhole = protocol === "aws" && key === "secret"
  return {
    helpers: { [protocol]: { [target]: key === undefined ? value : { ...(isWhole ? {} : needed), [key]: value } } }
  }
}

/** Makes a file with one setting. */
const fileWith = (name: string, value: unknown): object => {
  const [key = "", ...sections] = name.split(".").toReversed()
  const needed = name.startsWith("otlp.") ? { endpoint } : name.startsWith("team.") ? team : {}
  if (name.startsWith("sockets[]."))
    return { sockets: [{ path: "/run/s", role: "lease", secrets: ["a"], client_prefix: "a/", [key]: value }] }
  const [, protocol, member] = /^helpers\.(\w+)\.\*(?:\.(\w+))?$/.exec(name) ?? []
  if (protocol !== undefined) return helperWith(protocol, member, value)
  const [, inRoute] = /^proxy\.routes\.\*(?:\.(.+))?$/.exec(name) ?? []
  if (inRoute !== undefined) {
    const [member = "", inner] = inRoute.split(".")
    const given = inner === undefined ? value : { ...(inner === "format" && { header: "x-a" }), [inner]: value }
    return { proxy: { routes: { a: { secret: "a", upstream: "https://a.example", [member]: given } } } }
  }
  if (name === "proxy.routes.*") return { proxy: { routes: { a: value } } }
  if (name.startsWith("policy[].")) return { policy: [{ secrets: ["a"], [key]: value }] }
  return sections.reduce((inner, section): object => ({ [section]: { ...needed, ...inner } }), {
    ...beside[name],
    [key]: value
  })
}

describe("the schema of config.json", () => {
  it("is up to date in the docs, and so is the table of settings", () => {
    assert.strictEqual(fs.readFileSync(schemaFile, "utf8"), schemaText(), "npm run docs")
    const text = fs.readFileSync(document, "utf8")
    assert.strictEqual(text, renewed(text), "npm run docs")
    for (const { name } of settings()) assert.include(text, `| \`${name}\` |`)
  })

  it.each([
    {},
    { $schema: "../docs/config.schema.json", theirs: { enabled: "perhaps" }, Directory: 5 },
    { directory: "~/vault", socket_path: "/run/secrets/s.sock" },
    { socket_mode: "0660", socket_group: "staff" },
    { socket_mode: null, socket_group: "" },
    { sockets: null },
    { sockets: [{ path: "~/s", role: "approve", mode: "0660", group: "staff", theirs: 1 }] },
    { sockets: [{ path: "/s", role: "lease", secrets: ["ci_*"], client_prefix: "ci/" }] },
    { policy: [] },
    { policy: [{ secrets: ["*"] }, { secrets: ["a"], clients: ["c/*"], via: [], max_ttl: "5m", reason: true }] },
    { default_lease_ttl: "1h30m", max_lease_ttl: 31_536_000_000_000_000, rotation_timeout: "+1.5s" },
    { audit_max_size: "1 gb", audit_max_files: 1, max_active_leases: 1 },
    { events: { min_level: "debug", debug_per_minute: 0 } },
    { events: null, otlp: null, heartbeat: null },
    { otlp: { endpoint } },
    { otlp: { endpoint, headers: { "x-key": "a, b", other: null }, signals: ["logs", "logs"], timeout: 1_000_000 } },
    { heartbeat: { enabled: false, url: "" } },
    { heartbeat: { enabled: true, url, interval: "1m", fail_action: { revoke_all: true } } }
  ])("accepts %j, which the daemon accepts", (file) => {
    assert.isTrue(isAccepted(file))
    assert.isTrue(fits(schema, file))
  })

  it.each([
    [],
    "text",
    { directory: "vault" },
    { audit_path: "~other/audit.log" },
    { socket_mode: "0666" },
    { socket_mode: 600 },
    { socket_mode: "0660" },
    { socket_mode: "0660", socket_group: "" },
    { socket_mode: "0660", socket_group: null },
    { sockets: {} },
    { sockets: [{ role: "operator" }] },
    { sockets: [{ path: "/s" }] },
    { sockets: [{ path: "s", role: "operator" }] },
    { sockets: [{ path: "/s", role: "root" }] },
    { sockets: [{ path: "/s", role: "operator", mode: "0660" }] },
    { sockets: [{ path: "/s", role: "lease", secrets: [""], client_prefix: "ci/" }] },
    { policy: [{ clients: ["c"] }] },
    { policy: [{ secrets: [] }] },
    { policy: [{ secrets: [""] }] },
    { policy: [{ secrets: ["a"], clients: [] }] },
    { policy: [{ secrets: ["a"], via: ["exce"] }] },
    { policy: Array.from({ length: 1001 }, () => ({ secrets: ["a"] })) },
    { policy: [{ secrets: Array.from({ length: 101 }, () => "a") }] },
    { default_lease_ttl: "1d" },
    { max_lease_ttl: "-1h" },
    { rotation_timeout: "0s" },
    { audit_max_size: "10 MiB" },
    { audit_max_files: 0 },
    { events: "debug" },
    { otlp: { protocol: "http/json" } },
    { otlp: { endpoint: null } },
    { otlp: { endpoint, headers: { "a b": "c" } } },
    { otlp: { endpoint, headers: { a: "b\nc" } } },
    { otlp: { endpoint, signals: [] } },
    { otlp: { endpoint, timeout: 3_600_000_000_001 } },
    { team: { name: "m1" } },
    { team: { ...team, offline: "repeat" } },
    { heartbeat: { enabled: true } },
    { heartbeat: { enabled: true, url: null } },
    { heartbeat: { enabled: true, url: "example.org" } },
    { heartbeat: { fail_action: { wipe_store: "yes" } } }
  ])("rejects %j, which the daemon rejects", (file) => {
    assert.isFalse(isAccepted(file))
    assert.isFalse(fits(schema, file))
  })

  it.each([
    { max_lease_ttl: "59m" },
    { policy: [{ secrets: ["a"], client: ["c"] }] },
    { mcp: { clients: { codex: { comands: [] } } } },
    { audit_path: "/srv/a", leases_path: "/srv/a" },
    { default_lease_ttl: "0.1ns" },
    { rotation_timeout: "3000000h" },
    { audit_max_size: "4KB" },
    { otlp: { endpoint: "http://[" } },
    { otlp: { endpoint, timeout: "2h" } }
  ])("accepts %j, which only the daemon rejects", (file) => {
    assert.isFalse(isAccepted(file))
    assert.isTrue(fits(schema, file))
  })

  it("agrees with the daemon on every setting and value, with few exceptions", () => {
    const numbers = [-1, 0, 1, 1.5, 5, 4095, 4096, 999_999, 1e6, 3.6e12, 3.6e12 + 1, 1e12, 2 ** 62, 2 ** 63, 1e300]
    const durations = ["1h", "90m", "+1h", "-1h", "1.h", ".5h", "1h 2m", "00s", "1\u00b5s", "1d", "h", ".", "1e3s"]
    const texts = ["", "5", "4096", "10MB", "8192 b", "10 MiB", "/srv/x", "~/x", "~x", "0600", "staff", "a\nb"]
    const words = ["debug", "error", "loud", "http/json", "grpc", "http://a", "https://a/b", "ftp://a", "http://"]
    const others = [null, true, false, [], ["logs"], ["logs", 1], [5], {}, { "x-a": "b" }, { "x a": "b" }, { a: 5 }]
    const differing: { [Which in "onlyDaemon" | "onlySchema"]: Array<string> } = { onlyDaemon: [], onlySchema: [] }
    for (const { name } of settings()) {
      for (const value of [...numbers, ...durations, ...texts, ...words, ...others]) {
        const file = fileWith(name, value)
        const read = isAccepted(file)
        if (read !== fits(schema, file)) {
          differing[read ? "onlyDaemon" : "onlySchema"].push(`${name} ${JSON.stringify(value)}`)
        }
      }
    }
    assert.deepStrictEqual(differing, {
      onlyDaemon: [],
      // A pattern cannot check the range of a number in text; unknown keys and rules about two keys are not in the schema.
      onlySchema: [
        "sockets[].secrets null",
        "sockets[].secrets []",
        'sockets[].client_prefix ""',
        "sockets[].client_prefix null",
        'audit_max_size "5"',
        'audit_max_size "0600"',
        "policy[].max_ttl 4611686018427388000",
        'policy[].approval "1\u00b5s"',
        'approval.open "1\u00b5s"',
        'helpers {"x-a":"b"}',
        'helpers {"x a":"b"}',
        'helpers {"a":5}',
        "helpers.aws.* {}",
        'helpers.aws.* {"x-a":"b"}',
        'helpers.aws.* {"x a":"b"}',
        'helpers.aws.* {"a":5}',
        "helpers.aws.*.access_key_id null",
        "helpers.aws.*.secret_access_key null",
        "helpers.aws.*.secret null",
        'helpers.aws.*.ttl "1\u00b5s"',
        "helpers.kubernetes.* {}",
        'helpers.kubernetes.* {"x-a":"b"}',
        'helpers.kubernetes.* {"x a":"b"}',
        'helpers.kubernetes.* {"a":5}',
        "helpers.kubernetes.*.client_certificate null",
        "helpers.kubernetes.*.client_key null",
        'helpers.openclaw.* {"x-a":"b"}',
        'helpers.openclaw.* {"x a":"b"}',
        'helpers.openclaw.* {"a":5}',
        'mcp {"x-a":"b"}',
        'mcp {"x a":"b"}',
        'mcp {"a":5}',
        'mcp.timeout "90m"',
        'mcp.timeout "1\u00b5s"',
        'mcp.max_timeout "90m"',
        'mcp.max_timeout "1\u00b5s"',
        'mcp.max_output "5"',
        'mcp.max_output "0600"',
        'mcp.clients.* {"x-a":"b"}',
        'mcp.clients.* {"x a":"b"}',
        'mcp.clients.* {"a":5}',
        'proxy {"x-a":"b"}',
        'proxy {"x a":"b"}',
        'proxy {"a":5}',
        'proxy.routes.*.upstream "http://a"',
        "proxy.routes.*.upstream null",
        "proxy.routes.*.inject {}",
        'proxy.routes.*.inject {"x-a":"b"}',
        'proxy.routes.*.inject {"x a":"b"}',
        'proxy.routes.*.inject {"a":5}',
        "proxy.routes.*.inject.basic null",
        "proxy.routes.*.inject.header null",
        "proxy.routes.*.inject.query null",
        'proxy.routes.*.limits {"x-a":"b"}',
        'proxy.routes.*.limits {"x a":"b"}',
        'proxy.routes.*.limits {"a":5}',
        'otlp.timeout "90m"',
        'otlp.timeout "1\u00b5s"',
        "team.cert null",
        "team.key null",
        'team.timeout "90m"',
        'team.timeout "1\u00b5s"',
        'team.beat "90m"',
        'team.beat "1\u00b5s"'
      ]
    })
  })

  it("has a description of every setting, and defaults that equal absence", () => {
    for (const { description, name, default: written } of settings()) {
      assert.notStrictEqual(description, "", name)
      if (written === undefined) continue
      const read = (value: unknown) =>
        Result.getOrThrow(decodeConfig(JSON.stringify(fileWith(name, value)), home)).config
      assert.deepStrictEqual(read(written), read(null), name)
    }
  })
})
