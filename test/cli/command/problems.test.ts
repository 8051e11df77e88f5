/**
 * Problems carry a hint: which group may use the socket, if that is visible, and what to
 * do about a refusal.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { explainAccess } from "../../../src/cli/command/ownership.ts"
import { TtlTooLong } from "../../../src/domain/Lease.ts"
import { maxSocketPath } from "../../../src/domain/paths.ts"
import { connectProblem, refusalProblem, refusals } from "../../../src/cli/command/problems.ts"
import { readReply } from "../../../src/rpc/protocol/reply.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

const fixFor = (socketPath: string) => explainAccess(connectProblem({ code: "EACCES", socketPath }))

const socketAt = (socket: string, mode: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const server = net.createServer().listen(socket)
      fs.chmodSync(socket, mode)
      return server
    }),
    (server) => Effect.sync(() => server.close())
  )

describe("a permission problem", () => {
  it.effect("names the group of the socket, by its name or its number", () =>
    Effect.gen(function* () {
      const socket = path.join(yield* temporaryDirectory, "s")
      yield* socketAt(socket, 0o660)
      const { gid } = fs.statSync(socket)
      const named = fs
        .readFileSync("/etc/group", "utf8")
        .split("\n")
        .find((line) => line.split(":")[2] === `${gid}`)
      const group = named?.split(":")[0] ?? `${gid}`
      const problem = fixFor(socket)
      assert.strictEqual(problem.exitStatus, 7)
      assert.match(problem.fix, new RegExp(`^Join the group ${group} and log in again`))
    })
  )

  it.effect("names the group of the directory if the socket is not visible", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      fs.chmodSync(directory, 0o710)
      assert.match(fixFor(path.join(directory, "s")).fix, /^Join the group /)
    })
  )

  it.effect("names the account if the socket is for no group", () =>
    Effect.gen(function* () {
      const socket = path.join(yield* temporaryDirectory, "s")
      yield* socketAt(socket, 0o600)
      assert.match(fixFor(socket).fix, /^Use the account the daemon runs for/)
      assert.match(fixFor("/nonexistent/place/s").fix, /^Use the account the daemon runs for/)
    })
  )
})

describe("a connection problem", () => {
  it("names what is not a socket, for each reason of the system", () => {
    for (const code of ["ECONNREFUSED", "EACCES"]) {
      const { exitStatus, message } = connectProblem({ code, socketPath: "/etc/passwd" })
      assert.strictEqual(message, "cannot connect to the daemon: /etc/passwd is not a socket")
      assert.strictEqual(exitStatus, 78)
    }
  })

  // Source: packages/sdk/src/lib/typesense-auth.ts of joelclaw.
  const recognized = /daemon unreachable|daemon unavailable|connection refused|econnrefused|connect.*daemon/iu

  it("has a text that callers recognize, whatever the system's reason", () => {
    for (const code of ["ENOENT", "ECONNREFUSED", "EINVAL"]) {
      const { message, why = "" } = connectProblem({ code, socketPath: "/s" })
      assert.match(`${message}\n  ${why}`, recognized)
    }
  })

  it("says that a full queue is a daemon that hangs, not one that is missing", () => {
    const { exitStatus, fix, why = "" } = connectProblem({ code: "EAGAIN", socketPath: "/s" })
    assert.strictEqual(exitStatus, 6)
    assert.match(String(why), recognized)
    assert.notInclude(fix, "secrets serve")
  })

  it("names a path that no socket can have, whatever the system's reason", () => {
    const longest = `/${"x".repeat(maxSocketPath - 1)}`
    for (const code of ["EINVAL", "ENAMETOOLONG", "ENOENT", "EACCES"]) {
      const { exitStatus, message } = connectProblem({ code, socketPath: `${longest}x` })
      assert.match(message, /^cannot connect to the daemon: the socket path .* has \d+ bytes; a socket address holds/)
      assert.match(message, recognized)
      assert.strictEqual(exitStatus, 78)
    }
    assert.strictEqual(connectProblem({ code: "ENOENT", socketPath: longest }).exitStatus, 3)
  })
})

describe("a refusal", () => {
  for (const [tag, fix] of [
    ["SecretExists", /secrets update/],
    ["NoRotationHook", /--rotate-via/],
    ["InvalidTtl", /--ttl 90s/],
    ["TtlTooLong", /Ask for less/],
    ["MissingSecretName", /^List the names: secrets list$/],
    ["InvalidParams", /^Correct the value/],
    ["SecretStoreError", /^Free disk space/],
    ["MissingClientId", /--client-id/],
    ["TooLong", /--client-id/]
  ] as const) {
    it(`has a hint for its tag: ${tag}`, () => {
      const problem = refusalProblem({ message: "m", tag })
      assert.match(problem.fix, fix)
      assert.deepInclude(problem, { message: "m", code: tag, exitStatus: 5 })
    })
  }

  it("names the maximum of a TTL that is too long, as the daemon has it", () => {
    const { data, message } = new TtlTooLong({ requested: "99h0m0s", maximum: "24h0m0s" })
    const reply = readReply(
      JSON.stringify({ id: 1, error: { code: -32603, message, data: { tag: "TtlTooLong", ...data } } })
    )
    assert.isDefined(reply?.error)
    if (reply?.error !== undefined) assert.match(refusalProblem(reply.error).fix, /at most 24h instead of 99h:/)
  })

  it("has one imperative sentence as a hint, which claims nothing about the past", () => {
    for (const [tag, { fix }] of Object.entries(refusals)) {
      assert.match(fix, /^[A-Z]/, tag)
      assert.notMatch(fix, /^(It|The|Nothing) |[.!] [A-Z]|\.$/, tag)
    }
    assert.match(refusals.LeaseNotFound.fix, /^Give four characters of its id or more: secrets leases$/)
  })

  for (const [code, tag, status] of [
    [-32000, "SecretNotFound", 4],
    [-32001, "LeaseNotFound", 4],
    [-32601, "MethodNotFound", 5],
    [-32700, "ParseError", 5],
    [-32003, "RotationFailed", 5],
    [-32603, undefined, 5],
    [-1, undefined, 5]
  ] as const) {
    for (const data of [undefined, null, "SecretExists", { tag: 5 }, { tag: "OfALaterVersion" }]) {
      it(`keeps its message and its status if it has no tag: ${code}, data ${JSON.stringify(data)}`, () => {
        const reply = readReply(JSON.stringify({ id: 1, error: { code, message: "plain words", data } }))
        assert.deepStrictEqual(reply?.error, { code, message: "plain words", tag })
        const problem = refusalProblem({ message: "plain words", tag })
        assert.deepInclude(problem, { message: "plain words", exitStatus: status, code: tag ?? "generic_error" })
      })
    }
  }

  it("is identified by its tag if several errors share a code", () => {
    const data = { tag: "SecretExists", more: 1 }
    const reply = readReply(JSON.stringify({ id: 1, error: { code: -32603, message: "m", data } }))
    assert.strictEqual(reply?.error?.tag, "SecretExists")
  })
})
