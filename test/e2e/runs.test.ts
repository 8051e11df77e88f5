/**
 * Programs that run with values, over the real socket: who sees them, how a revoke reaches them,
 * and that neither a kill -9 nor an orderly stop of the daemon loses an end.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { auditOf, rpc, startDaemon } from "../harness/daemon.ts"
import { RunWatcher } from "../harness/runWatcher.ts"
import { sharedDaemon } from "../harness/sharedDaemon.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const shared = sharedDaemon({ db: "made-up-value", api: "made-up-too" })

/** Starts a run and watches it, until the scope ends. */
const running = Effect.fnUntraced(function* (socket: string, clientId: string, ...secrets: ReadonlyArray<string>) {
  const run = yield* Effect.acquireRelease(
    Effect.sync(() => new RunWatcher(socket, clientId, secrets)),
    (run) => Effect.sync(() => run.vanish())
  )
  yield* Effect.promise(() => run.begin())
  assert.isNotEmpty(run.runId)
  void run.watch()
  return run
})
const until = (run: RunWatcher, count: number) => Effect.promise(() => run.until(count))

describe("secrets runs and secrets revoke", () => {
  it.live("show who runs with a value, and wait until those that were reached have ended", () =>
    Effect.gen(function* () {
      const { secrets, socket } = shared()
      const run = yield* running(socket, "ci", "db", "api")
      const other = yield* running(socket, "deploy", "db")
      const listed = (yield* secrets(["runs"])).stdout
      assert.match(listed, /^RUN +CLIENT +PROGRAM +PID +SECRETS +SINCE +LEASES +NOTICE\n/)
      assert.match(listed, new RegExp(`^${other.runId} +deploy +npm +4242 +db +\\d+s? .*1 of 1 +-$`, "m"))
      assert.match((yield* secrets(["leases", "--client-id", "ci"])).stdout, /^ci +db +\S+ +\S+ +npm \(4242\) +\S+$/m)
      const ending = until(run, 2).pipe(Effect.andThen(Effect.promise(() => run.end({ because: "revoked" }))))
      const waiting = secrets(["revoke", "--client-id", "ci", "--wait", "30s"])
      const [{ status, stdout }] = yield* Effect.all([waiting, ending], { concurrency: 2 })
      assert.deepStrictEqual([status, stdout], [0, "revoked 2 leases\n1 program notified, 1 ended\n"])
      const left = yield* secrets(["revoke", "--all", "--wait", "0s"])
      assert.strictEqual(left.status, 9)
      assert.include(
        left.stdout,
        "revoked 1 lease\n1 program notified, 0 ended, 1 still running: npm (pid 4242, client deploy)\n"
      )
      assert.include(left.stderr, "1 program did not end")
      const { result } = JSON.parse((yield* secrets(["runs", "--json"])).stdout)
      assert.deepInclude(result.runs[0], { run_id: other.runId, told: "killswitch", leases_active: 0, secrets: ["db"] })
      assert.deepStrictEqual(yield* until(other, 1), ["killswitch"])
      yield* Effect.promise(() => other.end())
      assert.strictEqual((yield* secrets(["runs"])).stdout, "no program runs with values\n")
    })
  )

  it.live("print what the killswitch would do, and change nothing", () =>
    Effect.gen(function* () {
      const { call, secrets, socket } = shared()
      const run = yield* running(socket, "drilled", "db")
      const { stdout } = yield* secrets(["revoke", "--all", "--drill", "--wipe"])
      assert.match(stdout, /^this is a drill: nothing is changed\nit would revoke 1 lease: drilled\n/)
      assert.include(stdout, "\nit would notify 1 program: npm of drilled\nit would wipe 2 secrets: api, db\n")
      assert.strictEqual((yield* call("leases")).result.total, 1)
      assert.deepStrictEqual(run.notices, [])
      yield* Effect.promise(() => run.end())
    })
  )
})

describe("a daemon that is replaced", () => {
  it.live("loses no end: those who wait take their runs up, and get what they missed", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const first = yield* startDaemon({ home })
      yield* rpc(first.socket, "add", { name: "db", value: "made-up-value" })
      const runs = [
        yield* running(first.socket, "a", "db"),
        yield* running(first.socket, "b", "db"),
        yield* running(first.socket, "c", "db")
      ] as const
      const [a, b, c] = runs
      // The reply to the killswitch comes after the entry: whether the watchers have it is a race.
      yield* rpc(first.socket, "revokeMatching", { client_id: "a" })
      yield* first.stop("SIGKILL")
      const second = yield* startDaemon({ home })
      assert.deepStrictEqual(yield* until(a, 1), ["revoked db"])
      yield* Effect.promise(() => untilTakenUp(runs, 1))
      const stopped = yield* second.stop()
      assert.strictEqual(stopped.status, 0)
      assert.isTrue(runs.every(({ stopping }) => stopping > 0))
      const third = yield* startDaemon({ home })
      yield* rpc(third.socket, "revokeMatching", { secret_name: "db" })
      for (const run of runs) yield* until(run, run === a ? 2 : 1)
      assert.deepStrictEqual([b.notices.length, c.notices.length], [1, 1])
      for (const run of runs) yield* Effect.promise(() => run.end())
      const entries = auditOf(first.directory).filter(({ run_id }) => run_id === b.runId)
      assert.deepStrictEqual(
        entries.map(({ action }) => action),
        ["run_begin", "run_begin", "run_begin", "run_told", "run_end"]
      )
      assert.match(entries[1]?.details, /^taken up after entry \d+$/)
    })
  )
})

const untilTakenUp = async (runs: ReadonlyArray<RunWatcher>, times: number): Promise<void> => {
  while (runs.some(({ takenUp }) => takenUp < times)) await new Promise((resolve) => setTimeout(resolve, 5))
}
