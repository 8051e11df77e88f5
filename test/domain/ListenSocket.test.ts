/**
 * The sockets of a daemon: their roles, the one that its owner always has, and what a caller
 * on each is limited to.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { AccessDenied, leaseForbidden, ownsLease, withClientPrefix } from "../../src/domain/Caller.ts"
import { decodeConfig } from "../../src/domain/Config.ts"
import { hour } from "../../src/domain/GoDuration.ts"
import { makeLease } from "../../src/domain/Lease.ts"
import { callerOf, socketsOf } from "../../src/domain/ListenSocket.ts"
import { maxSocketPath } from "../../src/domain/paths.ts"

const decode = (file: object) => decodeConfig(JSON.stringify({ directory: "/d", ...file }), "/home/x")
const sockets = (file: object) => socketsOf(Result.getOrThrow(decode(file)).config)
const shown = (file: object) => sockets(file).map(({ access, path, role }) => [path, access.mode.toString(8), role])
const refusal = (file: object) => Result.getOrThrow(Result.flip(decode(file))).message

const group = { socket_mode: "0660", socket_group: "g" }
const worker = { path: "/run/w", role: "lease", secrets: ["ci_*"], client_prefix: "ci/" }

describe("the sockets of a daemon", () => {
  it("are the owner's alone, without settings", () => {
    assert.deepStrictEqual(shown({}), [["/d/agent-secrets.sock", "600", "owner"]])
  })

  it("have one for the owner, before that of the group", () => {
    assert.deepStrictEqual(shown(group), [
      ["/d/owner.sock", "600", "owner"],
      ["/d/agent-secrets.sock", "660", "operator"]
    ])
    assert.deepStrictEqual(shown({ ...group, sockets: [worker, { path: "/run/mine", role: "owner" }] }), [
      ["/run/mine", "600", "owner"],
      ["/d/agent-secrets.sock", "660", "operator"],
      ["/run/w", "600", "lease"]
    ])
  })

  it("leave out one for the owner whose path would be too long, as the daemon started before", () => {
    const directory = `/${"d".repeat(maxSocketPath - 11)}`
    assert.lengthOf(sockets({ ...group, directory, socket_path: "/run/s" }), 1)
  })

  it.each([
    [
      { sockets: [{ path: "/d/agent-secrets.sock", role: "operator" }] },
      "sockets[0].path must be another path than socket_path"
    ],
    [
      { sockets: [{ path: "/d/x/../agent-secrets.sock", role: "use", secrets: ["a"], client_prefix: "a" }] },
      "sockets[0].path must be another path than socket_path"
    ],
    // Each of them would remove the other while it is bound or locked.
    [
      { sockets: [{ path: "/d/agent-secrets.soc~", role: "operator" }] },
      "socket_path must be another path than sockets[0].path"
    ],
    [
      { sockets: [{ path: "/d/agent-secrets.sock.lock", role: "operator" }] },
      "socket_path must be another path than sockets[0].path"
    ],
    [{ sockets: [{ path: "/d/audit.log", role: "operator" }] }, "sockets[0].path must be another path than audit_path"],
    [{ ...group, socket_path: "/d/owner.sock" }, "the owner's socket must be another path than socket_path"],
    [
      { sockets: [worker, { ...worker, path: "/run/v" }] },
      "sockets[1].client_prefix must not begin with that of sockets[0]"
    ],
    [
      {
        sockets: [
          { ...worker, client_prefix: "ci/a" },
          { ...worker, path: "/run/v" }
        ]
      },
      "sockets[0].client_prefix must not begin with that of sockets[1]"
    ],
    [{ sockets: [{ ...worker, secrets: [] }] }, "sockets[0].secrets is required for the role lease"],
    [{ sockets: [{ ...worker, client_prefix: "" }] }, "sockets[0].client_prefix is required for the role lease"],
    [{ sockets: [{ ...worker, role: "operator" }] }, "sockets[0].secrets does not apply to the role operator"],
    [
      { sockets: [{ path: "/a", role: "approve", client_prefix: "x" }] },
      "sockets[0].client_prefix does not apply to the role approve"
    ],
    [
      { sockets: [{ path: "/a", role: "owner", mode: "0660", group: "g" }] },
      "sockets[0].mode must be 0600 for the role owner"
    ],
    [{ sockets: [{ path: "/a", role: "operator", mode: "0660" }] }, "sockets[0].group is required when mode is 0660"],
    [
      { sockets: [{ path: "/a", role: "root" }] },
      "sockets[0].role must be one of owner, operator, lease, use, approve"
    ],
    [{ sockets: [{ role: "lease" }] }, "sockets[0].path must be an absolute path, or begin with ~/"],
    [{ sockets: ["/a"] }, "sockets must be a list of sockets, each a JSON object"]
  ])("are rejected as %j", (file, message) => {
    assert.strictEqual(refusal(file), `config: ${message}`)
  })

  it("get a warning for a misspelt key of one", () => {
    const { warnings } = Result.getOrThrow(decode({ sockets: [{ ...worker, client_prefx: "" }] }))
    assert.deepStrictEqual(warnings, ["sockets[].client_prefx is not a setting: did you mean sockets[].client_prefix?"])
  })
})

const callers = (file: object) => {
  const all = sockets(file)
  return all.map((socket) => callerOf(socket, "/d", all.length === 1))
}

describe("a caller", () => {
  it("has no name in the audit log where the owner's socket is the only one, and otherwise its path", () => {
    assert.deepStrictEqual(
      callers({}).map(({ role, socket }) => [role, socket]),
      [["owner", undefined]]
    )
    assert.deepStrictEqual(
      callers({ ...group, sockets: [worker] }).map(({ role, socket }) => [role, socket]),
      [
        ["owner", "owner.sock"],
        ["operator", "agent-secrets.sock"],
        ["lease", "/run/w"]
      ]
    )
  })

  it("with the role lease has the secrets of its globs, and the leases of its prefix", () => {
    const caller = callers({ sockets: [worker] }).find(({ role }) => role === "lease")
    if (caller?.scope === undefined) return assert.fail("it has a scope")
    const lease = (secretName: string, clientId: string) =>
      makeLease({ id: "1", secretName, clientId, now: 0, ttl: hour })
    assert.isUndefined(leaseForbidden(caller, "ci_a"))
    assert.strictEqual(leaseForbidden(caller, "prod"), "this socket is not for that secret")
    assert.isTrue(ownsLease(caller, lease("ci_a", "ci/x")))
    assert.isFalse(ownsLease(caller, lease("ci_a", "other")))
    assert.isFalse(ownsLease(caller, lease("prod", "ci/x")))
    const prefixed = (params: unknown) => withClientPrefix(params, caller.scope ?? assert.fail("it has a scope"))
    assert.deepStrictEqual(prefixed({ client_id: "x", ttl: "" }), { client_id: "ci/x", ttl: "" })
    for (const as of [{ client_id: "ci/x" }, { client_id: "" }, { client_id: 5 }, {}, null, undefined, "x"]) {
      assert.strictEqual(prefixed(as), as)
    }
  })

  it("with the role use gets no bare value, and with the role approve owns nothing", () => {
    const file = {
      sockets: [
        { ...worker, role: "use" },
        { path: "/run/a", role: "approve" }
      ]
    }
    const [use, approve] = ["use", "approve"].map((role) => callers(file).find((caller) => caller.role === role))
    if (use === undefined || approve === undefined) return assert.fail("both are there")
    assert.strictEqual(leaseForbidden(use, "ci_a"), "the role use may not lease a bare value")
    assert.isFalse(ownsLease(approve, makeLease({ id: "1", secretName: "a", clientId: "b", now: 0, ttl: hour })))
    assert.strictEqual(new AccessDenied().message, "access denied: the role of this socket does not permit it")
  })
})
