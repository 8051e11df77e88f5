/**
 * Roles as several real users: a service account whose socket is open to a group, a member of
 * the group, a worker with a socket of its own, and somebody outside.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { auditOf, startDaemon } from "../harness/daemon.ts"
import { type Ended, invocation, run } from "../harness/program.ts"
import { canBeOthers, openPlace, type User } from "../support/users.ts"
import { until } from "../support/waiting.ts"

const group = 31_200
const service: User = { uid: 31_201, groups: [31_201, group] }
const member: User = { uid: 31_202, groups: [31_202, group] }
const outsider: User = { uid: 31_203, groups: [31_203] }
const workers = 31_210
const worker: User = { uid: 31_211, groups: [31_211, workers] }

/** A service account as joelclaw installs it, with a socket for workers beside that of the group. */
const installation = Effect.gen(function* () {
  const place = yield* openPlace
  const home = place.directory("service", service, 0o755)
  place.directory("service/run", service, 0o755)
  const socket = path.join(home, "run", "agent-secrets.sock")
  const workerSocket = path.join(home, "run", "ci.sock")
  const directory = path.join(home, ".agent-secrets")
  place.directory("service/.agent-secrets", service)
  const groupOfWorkers = { mode: "0660", group: `${workers}`, role: "lease", secrets: ["ci_*"], client_prefix: "ci/" }
  const settings = {
    socket_path: socket,
    socket_mode: "0660",
    socket_group: `${group}`,
    sockets: [{ path: workerSocket, ...groupOfWorkers }]
  }
  fs.writeFileSync(path.join(directory, "config.json"), JSON.stringify(settings))
  const asService = place.as({ ...service, groups: [service.uid, group, workers] }, home)
  /** A command of a user with a home of its own, whose settings name a socket. */
  const clientOf = (name: string, user: User, socketPath: string) => {
    const own = place.directory(name, user)
    const state = place.directory(`${name}/.agent-secrets`, user)
    fs.writeFileSync(path.join(state, "config.json"), JSON.stringify({ socket_path: socketPath }))
    return (words: string, ...more: ReadonlyArray<string>): Effect.Effect<Ended> =>
      run([...words.split(" "), ...more], place.as(user, own))
  }
  return { ...place, home, directory, socket, workerSocket, asService, clientOf }
})

/** After the words that `through` shifts away. */
const serveArguments = [...invocation, "serve", "--no-update-check", "--config"]

const isDone = ({ status, stderr }: Ended) => assert.strictEqual(status, 0, stderr)
const isRefused = ({ status, stderr, stdout }: Ended) => {
  assert.deepStrictEqual([status, stdout], [5, ""], stderr)
  assert.include(stderr, "access denied: the role of this socket does not permit it\n  Use a socket whose role permits")
}

describe.runIf(canBeOthers).concurrent("a service account whose socket a group may use", () => {
  it.live("serves every call of the group's members that it served before, and restarts for them", () =>
    Effect.gen(function* () {
      const { asService, clientOf, directory, socket } = yield* installation
      const served = [...serveArguments, path.join(directory, "config.json")]
      // The shell in a loop stands for launchd.
      const loop = `${asService.through?.replace("exec setpriv", "while :; do setpriv")} 2>/dev/null; done`
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn("/bin/sh", ["-c", loop, "sh", ...served], {
            env: { HOME: asService.home, PATH: "/usr/bin:/bin" },
            stdio: "ignore",
            detached: true
          })
        ),
        (supervisor) => Effect.sync(() => process.kill(-(supervisor.pid ?? 0), "SIGKILL"))
      )
      const secrets = clientOf("member", member, socket)
      isDone(yield* secrets("status --wait 20s"))
      for (const words of [
        "--no-update-check status",
        "--no-update-check list",
        "--no-update-check audit --tail 1",
        "--no-update-check add probe --value one",
        "--no-update-check update probe --value two",
        "daemon restart --help",
        "status --json",
        "health"
      ]) {
        isDone(yield* secrets(words))
      }
      const leased = yield* secrets("--no-update-check lease probe --ttl 5m --client-id installer")
      assert.deepStrictEqual([leased.status, leased.stdout], [0, "two"])
      isDone(yield* secrets("--no-update-check daemon restart"))
      const { result } = JSON.parse((yield* secrets("lease probe --ttl 5m --json")).stdout)
      isDone(yield* secrets(`revoke ${result.lease_id}`))
      isDone(yield* secrets("--no-update-check revoke --all"))
      isDone(yield* secrets("--no-update-check delete probe --force"))
      const entries = auditOf(directory).filter(({ action }) =>
        /^(secret|lease|killswitch|daemon_restart)/.test(action)
      )
      assert.isAbove(entries.length, 8)
      for (const { action, socket: named } of entries) assert.strictEqual(named, socket, action)
      const stranger = yield* clientOf("outsider", outsider, socket)("status")
      assert.strictEqual(stranger.status, 7, stranger.stderr)
    })
  )

  it.live("gives a member no command to run as the account, no wipe, and no end of the daemon", () =>
    Effect.gen(function* () {
      const { asService, clientOf, directory, socket, workerSocket } = yield* installation
      const daemon = yield* startDaemon(asService)
      const own = (words: string) => run(words.split(" "), asService)
      isDone(yield* own("add mine --value 1 --rotate-via id"))
      const secrets = clientOf("member", member, socket)
      isRefused(yield* secrets("add z --value z --rotate-via", `cat ${directory}/identity.age`))
      isRefused(yield* secrets("update mine --value 2 --rotate-via id"))
      isRefused(yield* secrets("revoke --all --wipe --yes"))
      const scanned = yield* secrets("scan", path.dirname(socket))
      assert.include(
        scanned.stderr,
        "the values of the store were not compared: access denied: the role of this socket"
      )
      const rotated = yield* secrets("rotate mine")
      assert.strictEqual(rotated.stdout, 'rotated "mine"\n', rotated.stderr)
      const restart = yield* secrets("daemon restart")
      assert.deepStrictEqual([restart.status, restart.stdout], [5, ""])
      assert.include(restart.stderr, "no supervisor would start the daemon again, so only its owner may restart it")
      assert.match(restart.stderr, /\n {2}Restart it as its owner: sudo -H -u \S+ secrets daemon restart\n$/)

      const ci = clientOf("worker", worker, workerSocket)
      isDone(yield* own("add ci_token --value t"))
      assert.strictEqual((yield* ci("lease ci_token --client-id w")).stdout, "t")
      isRefused(yield* ci("lease mine"))
      isRefused(yield* ci("lease no_such_secret"))
      isRefused(yield* ci("audit"))
      assert.notInclude((yield* ci("list")).stdout, "mine")
      const other = yield* clientOf("worker2", worker, socket)("list")
      assert.strictEqual(other.status, 7, other.stderr)
      const { stdout: status } = yield* own("status")
      assert.include(status, `socket        ${socket}, your role: owner\n`)
      assert.include(status, `  owner       0600  ${directory}/owner.sock\n  operator    0660  ${socket}\n`)
      assert.include(status, `  lease       0660  ${workerSocket}\n`)

      const refused = auditOf(directory).filter(({ success }) => !success)
      assert.includeMembers(
        refused.map(({ action, details, socket: at }) => `${path.basename(at)} ${action}: ${details}`),
        [
          "agent-secrets.sock request_refused: secrets.add: the role operator may not set rotate_via",
          "agent-secrets.sock request_refused: secrets.killswitch: the role operator may not set wipe_store",
          "ci.sock lease_acquire: this socket is not for that secret",
          "ci.sock request_refused: secrets.audit: the role lease may not call it"
        ]
      )
      assert.strictEqual((yield* daemon.stop()).status, 0)
    })
  )
})

describe.runIf(canBeOthers).concurrent("each socket of a daemon", () => {
  it.live("has its mode and group, is restored if it is removed, and goes with the daemon", () =>
    Effect.gen(function* () {
      const { asService, directory, socket, workerSocket } = yield* installation
      const own = path.join(directory, "owner.sock")
      const sockets = [own, socket, workerSocket]
      const shown = () =>
        sockets.map((at) => {
          const { gid, mode, uid } = fs.statSync(at)
          return [uid, gid, (mode & 0o777).toString(8)]
        })
      const expected = [
        [service.uid, service.uid, "600"],
        [service.uid, group, "660"],
        [service.uid, workers, "660"]
      ]
      const daemon = yield* startDaemon(asService)
      assert.deepStrictEqual(shown(), expected)
      for (const at of sockets) fs.rmSync(at)
      yield* until(() => sockets.every((at) => fs.existsSync(at)))
      assert.deepStrictEqual(shown(), expected)
      yield* daemon.stop()
      assert.deepStrictEqual(
        sockets.map((at) => fs.existsSync(at)),
        [false, false, false]
      )

      // A socket that somebody serves is not taken, whichever it is, and then none of ours is left.
      const taken = net.createServer().listen(workerSocket)
      yield* until(() => fs.existsSync(workerSocket))
      fs.chownSync(workerSocket, service.uid, service.uid)
      const second = yield* run(["serve"], asService)
      assert.strictEqual(second.status, 75, second.stderr)
      assert.include(second.stderr, `another daemon is listening on ${workerSocket}`)
      assert.deepStrictEqual(
        sockets.map((at) => fs.existsSync(at)),
        [false, false, true]
      )
      taken.close()
    })
  )
})
