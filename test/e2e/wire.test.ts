/**
 * The protocol on a real socket: requests and the exact replies.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Connection } from "../harness/connection.ts"
import { auditOf, connect, rpc } from "../harness/daemon.ts"
import { emptiedDaemon } from "../harness/sharedDaemon.ts"

const daemon = emptiedDaemon()

/** Sends a line and returns the reply, with times and ids replaced by placeholders. */
const ask = (connection: Connection, line: string) =>
  Effect.promise(async () =>
    (await connection.ask(line))
      ?.replaceAll(/"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"/g, (time) =>
        time.startsWith('"0001') ? time : '"TIME"'
      )
      .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g, "UUID")
  )

const request = (method: string, params?: unknown, id: unknown = 1) =>
  JSON.stringify({ jsonrpc: "2.0", method, params, id })
const result = (text: string, id = "1") => `{"jsonrpc":"2.0","result":${text},"id":${id}}`
/** Code and message are the predecessor's; the tag is ours. */
const error = (code: number, tag: string, message: string, id = "1") =>
  `{"jsonrpc":"2.0","error":{"code":${code},"message":${JSON.stringify(message)},"data":{"tag":"${tag}"}},"id":${id}}`
const refusedGet = (id: string) =>
  error(-32006, "DirectAccess", "direct secret access not allowed; use secrets.lease instead", id)

describe("the methods", () => {
  it.live("answer as the predecessor did", () =>
    Effect.gen(function* () {
      const { socket } = yield* daemon
      const connection = yield* connect(socket)
      const lease = (params: object) => request("secrets.lease", { client_id: "agent-1", ...params })
      const table: ReadonlyArray<readonly [string, string]> = [
        [
          request("secrets.status", {}),
          result('{"running":true,"started_at":"TIME","secrets_count":0,"active_leases":0,"store_state":"initialized"}')
        ],
        [request("secrets.list"), result('{"secrets":[]}')],
        [
          request("secrets.add", { name: "db", value: "a<b>&c\u2028" }),
          result('{"success":true,"message":"secret \\"db\\" added successfully"}')
        ],
        [
          request("secrets.add", { name: "db", value: "x" }),
          error(-32603, "SecretExists", 'secret "db": secret already exists')
        ],
        [request("secrets.init"), result('{"success":true,"message":"store initialized successfully"}')],
        [
          request("secrets.add", { name: "aws", value: "x", rotate_via: "echo >&2" }),
          result('{"success":true,"message":"secret \\"aws\\" added successfully"}')
        ],
        [
          request("secrets.list"),
          result(
            '{"secrets":[{"name":"aws","created_at":"TIME","updated_at":"TIME","rotate_via":"echo \\u003e\\u00262","last_rotated":"0001-01-01T00:00:00Z","active_leases":0},' +
              '{"name":"db","created_at":"TIME","updated_at":"TIME","last_rotated":"0001-01-01T00:00:00Z","active_leases":0}]}'
          )
        ],
        [request("secrets.get", { name: "db" }), refusedGet("1")],
        [
          lease({ secret_name: "db", ttl: "1h" }),
          result('{"lease_id":"UUID","value":"a\\u003cb\\u003e\\u0026c\\u2028","expires_at":"TIME"}')
        ],
        [lease({ secret_name: "nope", ttl: "2h" }), error(-32000, "SecretNotFound", 'secret "nope": secret not found')],
        [
          lease({ secret_name: "db", ttl: "25h" }),
          error(-32603, "TtlTooLong", "invalid TTL duration").replace(
            '"TtlTooLong"',
            '"TtlTooLong","requested":"25h","maximum":"24h"'
          )
        ],
        [
          lease({ secret_name: "db", ttl: "1d" }),
          error(-32603, "InvalidTtl", 'invalid ttl duration: time: unknown unit "d" in duration "1d"')
        ],
        [lease({}), error(-32603, "MissingSecretName", "secret_name is required")],
        [request("secrets.lease", { secret_name: "db" }), error(-32603, "MissingClientId", "client_id is required")],
        [request("secrets.revoke", { lease_id: "nope" }), error(-32001, "LeaseNotFound", "lease not found")],
        [request("secrets.revoke", {}), error(-32603, "MissingParameter", "lease_id is required")],
        [request("secrets.delete", {}), error(-32603, "MissingSecretName", "secret name is required")],
        [
          request("secrets.delete", { name: "db" }),
          result('{"success":true,"message":"secret \\"db\\" deleted successfully"}')
        ],
        [request("secrets.delete", { name: "db" }), error(-32000, "SecretNotFound", 'secret "db": secret not found')],
        [
          request("secrets.revokeAll"),
          result('{"success":true,"leases_revoked":0,"message":"all 0 active leases revoked"}')
        ],
        [
          request("secrets.audit", { tail: 5 }),
          result(
            '{"entries":[{"timestamp":"TIME","action":"lease_revoke","secret_name":"db","details":"revoked 1 leases","success":true},' +
              '{"timestamp":"TIME","action":"secret_delete","secret_name":"db","details":"secret not found","success":false},' +
              '{"timestamp":"TIME","action":"lease_revoke","secret_name":"db","details":"revoked 0 leases","success":true},' +
              '{"timestamp":"TIME","action":"killswitch","details":"revoked 0 leases","success":true},' +
              '{"timestamp":"TIME","action":"killswitch","details":"all leases revoked","success":true}]}'
          )
        ],
        [request("secrets.add"), error(-32603, "InvalidParams", "invalid parameters: parameters are required")]
      ]
      for (const [sent, expected] of table) assert.strictEqual(yield* ask(connection, sent), expected, sent)
    })
  )

  it.live("revoke a lease once, and succeed twice", () =>
    Effect.gen(function* () {
      const { socket } = yield* daemon
      yield* rpc(socket, "add", { name: "db", value: "x" })
      const { lease_id } = (yield* rpc(socket, "lease", { secret_name: "db", client_id: "c" })).result
      for (let times = 0; times < 2; times += 1) {
        const reply = yield* rpc(socket, "revoke", { lease_id })
        assert.deepStrictEqual(reply.result, { success: true, message: `lease "${lease_id}" revoked successfully` })
      }
      assert.strictEqual((yield* rpc(socket, "status")).result.active_leases, 0)
    })
  )

  it.live("return a hundred audit entries for an invalid tail, and keep working", () =>
    Effect.gen(function* () {
      const { audit, directory, socket } = yield* daemon
      const connection = yield* connect(socket)
      for (let n = 0; n < 101; n += 1) connection.send(`${request("secrets.revoke", { lease_id: `n${n}` })}\n`)
      for (let n = 0; n < 101; n += 1) yield* Effect.promise(() => connection.line())
      for (const tail of [-1, 0, null, "5", 1.5, 1e30, []]) {
        assert.lengthOf((yield* rpc(socket, "audit", { tail })).result.entries, 100, `tail ${JSON.stringify(tail)}`)
      }
      assert.lengthOf(audit(), 101)
      const all = (yield* rpc(socket, "audit", { tail: 1_000_000 })).result.entries
      assert.lengthOf(all, auditOf(directory).length)
    })
  )
})

describe("the envelope", () => {
  it.live("echoes ids, accepts names in any case, and answers every invalid request", () =>
    Effect.gen(function* () {
      const { socket } = yield* daemon
      const connection = yield* connect(socket)
      const table: ReadonlyArray<readonly [string, string]> = [
        ['{"jsonrpc":"2.0","method":"secrets.get","id":"abc"}', refusedGet('"abc"')],
        ['{"jsonrpc":"2.0","method":"secrets.get"}', refusedGet("null")],
        ['{"method":"secrets.get","id":9007199254740993}', refusedGet("9007199254740992")],
        ['{"method":"secrets.get","id":1e21}', refusedGet("1e+21")],
        [
          '{"method":"secrets.get","id":{"b":1,"a":[true,null],"10":0,"9":0}}',
          refusedGet('{"10":0,"9":0,"a":[true,null],"b":1}')
        ],
        ['{"METHOD":"secrets.get","Id":77}', refusedGet("77")],
        [
          '{"method":"secrets.get","method":"nope","id":1,"id":2}',
          error(-32601, "MethodNotFound", 'method "nope" not found', "2")
        ],
        ['{"method":"secrets.LIST","id":1}', error(-32601, "MethodNotFound", 'method "secrets.LIST" not found')],
        ['{"method":"constructor","id":1}', error(-32601, "MethodNotFound", 'method "constructor" not found')],
        ["{}", error(-32601, "MethodNotFound", 'method "" not found', "null")],
        ["null", error(-32601, "MethodNotFound", 'method "" not found', "null")],
        ["garbage", error(-32700, "ParseError", "parse error: the line is not JSON", "null")],
        ['{"a":', error(-32700, "ParseError", "parse error: the line is not JSON", "null")],
        ["", error(-32700, "ParseError", "parse error: the line is not JSON", "null")],
        ['{"method":"secrets.get","id":1} x', error(-32700, "ParseError", "parse error: the line is not JSON", "null")],
        [
          "[]",
          error(
            -32700,
            "ParseError",
            "parse error: json: cannot unmarshal array into Go value of type types.RPCRequest",
            "null"
          )
        ],
        [
          '{"method":5}',
          error(
            -32700,
            "ParseError",
            "parse error: json: cannot unmarshal number into Go struct field RPCRequest.method of type string",
            "null"
          )
        ],
        [
          '{"method":"secrets.add","params":[],"id":1}',
          error(
            -32603,
            "InvalidParams",
            "invalid parameters: failed to unmarshal params: json: cannot unmarshal array into Go value of type daemon.AddParams"
          )
        ],
        [
          '{"method":"secrets.add","params":{"NAME":5},"id":1}',
          error(
            -32603,
            "InvalidParams",
            "invalid parameters: failed to unmarshal params: json: cannot unmarshal number into Go struct field AddParams.name of type string"
          )
        ],
        [
          `{"method":"secrets.get","id":${"[".repeat(50_000)}${"]".repeat(50_000)}}`,
          error(-32700, "ParseError", "parse error: the line is nested too deeply", "null")
        ]
      ]
      for (const [sent, expected] of table)
        assert.strictEqual(yield* ask(connection, sent), expected, sent.slice(0, 80))
    })
  )
})

describe("the framing", () => {
  const get = (id: number) => `{"method":"secrets.get","id":${id}}`

  it.live("answers requests in order, however they are split", () =>
    Effect.gen(function* () {
      const { socket } = yield* daemon
      const connection = yield* connect(socket)
      connection.socket.setNoDelay(true)
      const bytes = Buffer.from([1, 2, 3].map((id) => `${get(id)}\r\n`).join(""))
      for (const byte of bytes) connection.send(Uint8Array.of(byte))
      for (const id of [1, 2, 3])
        assert.strictEqual(yield* Effect.promise(() => connection.line()), refusedGet(`${id}`))
    })
  )

  it.live("answers everything from a client that has closed its sending side", () =>
    Effect.gen(function* () {
      const { socket } = yield* daemon
      const connection = yield* connect(socket)
      connection.socket.end(`${get(1)}\n${get(2)}`)
      const lines = yield* Effect.promise(async () => [
        await connection.line(),
        await connection.line(),
        await connection.line()
      ])
      assert.deepStrictEqual(lines, [refusedGet("1"), refusedGet("2"), undefined])
    })
  )

  it.live("answers a line that is too long with an error, and the next one as usual", () =>
    Effect.gen(function* () {
      const { socket } = yield* daemon
      const connection = yield* connect(socket)
      connection.send("x".repeat(9 * 1024 * 1024)).send(`\n${get(2)}\n`)
      const tooLong = error(-32700, "ParseError", "parse error: the line is longer than 8388608 bytes", "null")
      assert.strictEqual(yield* Effect.promise(() => connection.line()), tooLong)
      assert.strictEqual(yield* Effect.promise(() => connection.line()), refusedGet("2"))
    })
  )

  it.live("accepts a value of a mebibyte that escaping makes six times as long", () =>
    Effect.gen(function* () {
      const { socket } = yield* daemon
      const value = "<".repeat(1024 * 1024)
      const escaped = JSON.stringify({ method: "secrets.add", params: { name: "big", value }, id: 1 }).replaceAll(
        "<",
        "\\u003c"
      )
      const connection = yield* connect(socket)
      const reply = yield* Effect.promise(() => connection.ask(escaped))
      assert.include(reply, '"success":true')
      const leased = yield* rpc(socket, "lease", { secret_name: "big", client_id: "c" })
      assert.isTrue(leased.result.value === value)
    })
  )
})
