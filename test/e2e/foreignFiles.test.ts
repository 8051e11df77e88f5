/**
 * Files of another user in the state directory, which a run as root leaves. What a start can do
 * without is renamed; for the rest, the message says whose it is and how to take it over.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { auditOf, rpc, startDaemon } from "../harness/daemon.ts"
import { installProgram, isScript, run } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const isRoot = process.getuid?.() === 0
/** The uid of the user nobody on most systems; any unprivileged uid works. */
const user = isRoot ? 65_534 : (process.getuid?.() ?? 0)
const asUser = path.resolve(import.meta.dirname, "../support/runAsUser.mjs")

/** A home of an ordinary user with a used state directory, and how that user runs the program. */
const usedHome = Effect.gen(function* () {
  const home = yield* temporaryDirectory
  if (isRoot) fs.chownSync(home, user, user)
  const installed = installProgram(path.join(home, ".local"))
  const through = isRoot ? `node=$1; shift 2; exec "$node" '${asUser}' ${user} '${installed}' "$@"` : 'exec "$@"'
  const daemon = yield* startDaemon({ home, through })
  yield* rpc(daemon.socket, "add", { name: "db", value: "made up" })
  yield* rpc(daemon.socket, "lease", { secret_name: "db", client_id: "c", ttl: "24h" })
  yield* daemon.stop()
  return { home, through, directory: daemon.directory }
})

/** Takes a file from the user: it is root's, or where the tests are not root, nobody may read it. */
const take = (file: string) => {
  if (isRoot) fs.chownSync(file, 0, 0)
  fs.chmodSync(file, isRoot ? 0o600 : 0)
}

describe.concurrent("files of root in the state directory of a user", () => {
  const replaceable = [
    "leases.json",
    "leases.checkpoint.json",
    "runs.json",
    "audit.head.json",
    "daemon.json",
    "restart-cooldown.json"
  ]
  it.live.runIf(isScript || !isRoot)("prevent no start, no lease, no change and no wipe", () =>
    Effect.gen(function* () {
      const { directory, home, through } = yield* usedHome
      for (const name of replaceable) {
        const file = path.join(directory, name)
        if (!fs.existsSync(file)) fs.writeFileSync(file, "{}")
        take(file)
      }
      fs.writeFileSync(path.join(directory, "secrets.age.bak"), "")
      take(path.join(directory, "secrets.age.bak"))
      const daemon = yield* startDaemon({ home, through })
      assert.strictEqual((yield* rpc(daemon.socket, "status")).result.active_leases, 1)
      assert.isDefined((yield* rpc(daemon.socket, "update", { name: "db", value: "another" })).result)
      const wiped = yield* rpc(daemon.socket, "killswitch", { wipe: true })
      assert.deepStrictEqual([wiped.result?.success, wiped.error], [true, undefined], JSON.stringify(wiped))
      yield* daemon.stop()
      for (const name of replaceable.slice(0, 5)) {
        const aside = fs.readdirSync(directory).filter((found) => found.startsWith(`${name}.damaged-`))
        assert.lengthOf(aside, 1, name)
      }
      for (const name of replaceable.slice(0, 4)) {
        assert.strictEqual(fs.statSync(path.join(directory, name)).uid, user, name)
      }
      assert.isTrue(auditOf(directory).some(({ action, details }) => `${action} ${details}`.includes("leases.json")))
    })
  )

  it.live.runIf(isScript || !isRoot)("are named with their owner and the command that helps", () =>
    Effect.gen(function* () {
      const { directory, home, through } = yield* usedHome
      const files = ["audit.log", "identity.age"]
      for (const name of files) {
        const file = path.join(directory, name)
        const mode = fs.statSync(file)
        take(file)
        const { status, stderr } = yield* run(["serve"], { home, through })
        assert.strictEqual(status, 73, stderr)
        assert.include(
          stderr,
          isRoot ? `${file} belongs to root (uid 0), and this is` : `${file} denies its owner access`
        )
        assert.include(stderr, isRoot ? "sudo chown " : `chmod u+rw ${file}`)
        fs.chownSync(file, mode.uid, mode.gid)
        fs.chmodSync(file, mode.mode & 0o777)
      }
      yield* startDaemon({ home, through })
    })
  )

  it.live.runIf(isScript || !isRoot)("are named by every command if the whole directory is root's", () =>
    Effect.gen(function* () {
      const { directory, home, through } = yield* usedHome
      take(directory)
      for (const args of [["status"], ["serve"]]) {
        const { status, stderr } = yield* run(args, { home, through })
        assert.strictEqual(status, 78, stderr)
        assert.include(stderr, `cannot read ${directory}/config.json: EACCES`)
        assert.include(stderr, isRoot ? `${directory} belongs to root (uid 0), and this is` : "denies its owner access")
        assert.include(stderr, isRoot ? `: ${directory}` : `chmod u+rwx ${directory}`)
      }
      fs.chmodSync(directory, 0o700)
    })
  )
})

describe.runIf(isRoot)("root", () => {
  it.live("is sent to the owner of HOME, with a state directory or without one", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      fs.chownSync(home, user, user)
      for (const prepare of [() => undefined, () => fs.mkdirSync(path.join(home, ".agent-secrets"))]) {
        prepare()
        const directory = path.join(home, ".agent-secrets")
        if (fs.existsSync(directory)) fs.chownSync(directory, user, user)
        for (const command of ["serve", "init", "lock"]) {
          const { status, stderr } = yield* run([command], { home })
          assert.strictEqual(status, 78, stderr)
          assert.include(stderr, `HOME is ${home}, which belongs to`)
          assert.match(
            stderr,
            /uid 65534\)?, and this is root \(uid 0\)\n.*: sudo -H -u \S+ secrets (serve|init|lock)\n/
          )
        }
        assert.deepStrictEqual(fs.readdirSync(home).length, fs.existsSync(directory) ? 1 : 0)
        if (fs.existsSync(directory)) assert.deepStrictEqual(fs.readdirSync(directory), [])
      }
    })
  )
})
