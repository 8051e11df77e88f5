/**
 * Several users of one machine: what one of them can put in the place of another's socket, and
 * a daemon that runs as a user of its own.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { startDaemon } from "../harness/daemon.ts"
import { run } from "../harness/program.ts"
import { canBeOthers, openPlace, type User } from "../support/users.ts"

const team = 31_100
const person: User = { uid: 31_002, groups: [31_002] }
const attacker: User = { uid: 31_666, groups: [31_666] }

/** A socket of a user, behind which somebody listens; returns all that was sent to it. */
const listenAs = ({ groups: [gid], uid }: User, at: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const sent: Array<string> = []
        const server = net.createServer((socket) => {
          socket.on("error", () => undefined)
          socket.on("data", (bytes) => {
            sent.push(bytes.toString("utf8"))
            const result = {
              lease_id: "l",
              value: "the attacker's value",
              expires_at: "2999-01-01T00:00:00Z",
              success: true
            }
            socket.write(`${JSON.stringify({ jsonrpc: "2.0", id: 1, result })}\n`)
          })
        })
        await new Promise<void>((resolve) => server.listen(at, resolve))
        fs.chownSync(at, uid, gid)
        fs.chmodSync(at, 0o666)
        return { server, sent }
      }),
      ({ server }) => Effect.sync(() => server.close())
    ),
    ({ sent }) => sent
  )

describe.runIf(canBeOthers)("a socket below a directory of another user", () => {
  it.live("is not served, and is given and believed no value", () =>
    Effect.gen(function* () {
      const { as, directory } = yield* openPlace
      const theirs = directory("theirs", attacker, 0o755)
      const home = directory("theirs/home", person)
      const started = yield* run(["serve"], as(person, home))
      assert.deepStrictEqual([started.status, started.stdout], [73, ""])
      assert.include(started.stderr, `${theirs} belongs to uid ${attacker.uid}, who could put something else there`)
      assert.isFalse(fs.existsSync(path.join(home, ".agent-secrets", "identity.age")))

      fs.renameSync(home, `${home}.away`)
      const state = path.join(directory("theirs/home", attacker, 0o755), ".agent-secrets")
      directory("theirs/home/.agent-secrets", attacker, 0o755)
      const sent = yield* listenAs(attacker, path.join(state, "agent-secrets.sock"))
      for (const args of [
        ["update", "db"],
        ["add", "db"],
        ["lease", "db"],
        ["env", "--secret", "db=DB", "--file", "-"],
        ["exec", "--secret", "db=DB", "--", "env"],
        ["rotate", "db"]
      ]) {
        const ended = yield* run(args, { ...as(person, home), stdin: "the person's value" })
        assert.deepStrictEqual([ended.status, ended.stdout], [7, ""], args.join(" "))
        assert.include(ended.stderr, `${theirs}/home/.agent-secrets/agent-secrets.sock belongs to uid ${attacker.uid}`)
      }
      assert.deepStrictEqual(
        sent.filter((line) => !line.includes('"secrets.status"')),
        []
      )
    })
  )

  it.live("is reported with the directory, its mode and what to run, if others can only write to it", () =>
    Effect.gen(function* () {
      const { as, directory } = yield* openPlace
      const shared = directory("shared", person, 0o770)
      fs.chownSync(shared, person.uid, team)
      const home = directory("shared/home", person)
      const refused = yield* run(["serve"], as(person, home))
      assert.strictEqual(refused.status, 73)
      assert.include(refused.stderr, `${shared} is writable by other users in the group ${team} (mode 770)`)
      assert.include(refused.stderr, `Run: chmod g-w ${shared}`)
      fs.chmodSync(shared, 0o750)
      yield* startDaemon(as(person, home))
      yield* run(["add", "db"], { ...as(person, home), stdin: "v" })
      fs.chmodSync(shared, 0o777)
      const lease = yield* run(["lease", "db", "--json"], as(person, home))
      const { error, fix } = JSON.parse(lease.stdout || lease.stderr)
      assert.deepStrictEqual([lease.status, error.code, fix], [7, "unsafe_socket", `Run: chmod go-w ${shared}`])
    })
  )
})
