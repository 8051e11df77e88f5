/**
 * A daemon under a supervisor that holds the socket: no caller is refused, systemd is notified,
 * and crash loops are reported.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { auditOf, rpc } from "../harness/daemon.ts"
import { run } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { until } from "../support/waiting.ts"
import { runningPid, supervise, type SupervisorOptions } from "../support/supervisor.ts"
import { activationRounds } from "../torture/activation.ts"
import { randomFrom } from "../support/random.ts"

const supervised = (options: SupervisorOptions) =>
  Effect.acquireRelease(
    Effect.promise(() => supervise(options)),
    (supervisor) => Effect.promise(supervisor.end)
  )

const read = (file: string) => (fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "")

/** Makes programs that record their input and environment, and whether descriptor 3 is open. */
const recorders = (home: string, ...names: ReadonlyArray<string>) => {
  const directory = path.join(home, "bin")
  fs.mkdirSync(directory)
  for (const name of names) {
    const script = [
      "#!/bin/sh",
      `out="${path.join(directory, name)}.out"`,
      '{ echo "$0 $*"; env; (: <&3) 2>/dev/null && echo "descriptor 3 is open"; case "$0" in *joelclaw) cat ;; esac; echo; } >> "$out"',
      `echo '{"ok":true}'`
    ].join("\n")
    fs.writeFileSync(path.join(directory, name), script, { mode: 0o755 })
  }
  return {
    searchPath: `${directory}:/usr/bin:/bin`,
    program: (name: string) => path.join(directory, name),
    outputOf: (name: string) => read(`${path.join(directory, name)}.out`)
  }
}

describe.concurrent("a socket-activated daemon", () => {
  it.live("refuses no caller, drops none in orderly restarts, and serves again after kill -9", () =>
    Effect.gen(function* () {
      const rows = yield* Effect.promise(() =>
        activationRounds({ rounds: 2, random: randomFrom(1), log: (line) => assert.fail(line) })
      )
      for (const { failed, tried, what } of rows) {
        assert.strictEqual(failed, 0, what)
        assert.isAbove(tried, 0, what)
      }
    })
  )

  it.live("notifies systemd when it is ready, alive and stopping, and hides the variables from its children", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { program, searchPath, outputOf } = recorders(home, "systemd-notify", "joelclaw", "hook")
      const env = { PATH: searchPath, NOTIFY_SOCKET: "/nowhere/notify", WATCHDOG_USEC: "400000" }
      const { directory, end, socket, stderr } = yield* supervised({ home, env })
      yield* rpc(socket, "add", { name: "db", value: "x", rotate_via: program("hook") })
      yield* rpc(socket, "rotate", { secret_name: "db" })
      yield* until(() => outputOf("systemd-notify").includes(`READY=1 STATUS=serving on ${socket}\n`))
      const pings = () => outputOf("systemd-notify").split("WATCHDOG=1\n").length - 1
      yield* until(() => pings() >= 2)
      assert.include(outputOf("systemd-notify"), "NOTIFY_SOCKET=/nowhere/notify\n")

      const pid = runningPid(directory) ?? 0
      process.kill(pid, "SIGSTOP")
      const frozenAt = pings()
      yield* Effect.sleep("700 millis")
      assert.isAtMost(pings(), frozenAt + 1)
      process.kill(pid, "SIGCONT")
      yield* until(() => pings() >= frozenAt + 3)

      yield* until(() => outputOf("joelclaw") !== "" && outputOf("hook") !== "")
      for (const name of ["joelclaw", "hook"]) {
        assert.notMatch(outputOf(name), /LISTEN_|NOTIFY_|WATCHDOG_|descriptor 3 is open/)
      }
      fs.rmSync(socket)
      yield* until(() => stderr().includes(`the socket file ${socket} is gone; restart the socket unit`))
      assert.isFalse(fs.existsSync(socket))
      yield* Effect.promise(end)
      assert.include(outputOf("systemd-notify"), "STOPPING=1 STATUS=stopping (SIGTERM)\n")
    })
  )

  it.live("reports a crash loop once, and afterwards how the last run ended", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { searchPath, outputOf } = recorders(home, "joelclaw")
      const { directory, end, socket } = yield* supervised({ home, env: { PATH: searchPath }, descriptor: 0 })
      const { ino } = fs.lstatSync(socket)
      const pids: Array<number> = []
      yield* rpc(socket, "status")
      for (let kills = 0; kills < 4; kills += 1) {
        const pid = runningPid(directory) ?? 0
        pids.push(pid)
        process.kill(pid, "SIGKILL")
        yield* until(() => ![pid, undefined].includes(runningPid(directory)))
      }
      const status = yield* run(["status", "--json"], { home })
      const { count, crash_loop, last_reason, times } = JSON.parse(status.stdout).result.unclean_starts
      assert.deepStrictEqual([count, crash_loop, times.length], [4, true, 4])
      assert.match(last_reason, new RegExp(`^process ${pids[3]}, started .*, was killed or crashed$`))
      assert.match((yield* run(["status"], { home })).stdout, /^crashes {7}crash loop; 4 unclean starts within a day/m)
      const loops = auditOf(directory).filter(({ action }) => action === "crash_loop")
      assert.lengthOf(loops, 1)
      assert.match(loops[0]?.["details"], new RegExp(`^3 starts since .*; the last: process ${pids[2]}, `))
      yield* until(() => outputOf("joelclaw").includes("daemon.crash_looping"))

      yield* Effect.promise(end)
      assert.strictEqual(fs.lstatSync(socket).ino, ino)
      const away = yield* run(["status"], { home })
      assert.strictEqual(away.status, 3)
      assert.match(
        away.stderr,
        /^secrets status: the daemon is not running\n {2}cannot connect .*; not running since .*, last exit: SIGTERM\n/
      )
      assert.lengthOf(outputOf("joelclaw").split('"action":"daemon.crash_looping"'), 2)
    })
  )

  it.live("serves a directory that replaces its own, on the same socket", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { directory, socket } = yield* supervised({ home, socket: path.join(home, "run", "s.sock") })
      yield* rpc(socket, "add", { name: "db", value: "x" })
      const pid = runningPid(directory)
      fs.renameSync(directory, `${directory}.before`)
      fs.mkdirSync(directory, { mode: 0o700 })
      yield* until(() => runningPid(directory) === pid)
      const { result } = yield* rpc(socket, "status")
      assert.strictEqual(result.secrets_count, 1)
    })
  )

  it.live("exits with status 78 and a hint on anything other than a listening Unix socket", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const handing = (count: number) => `LISTEN_FDS=${count} LISTEN_PID=$$ exec "$@" 3</dev/null`
      const starts = [
        [
          run(["serve"], { home, through: handing(1) }),
          /descriptor 3 was passed as the socket, but it is not a socket\n.*ListenStream=/
        ],
        [run(["serve"], { home, through: handing(99) }), /passed 99 sockets .*\n.*sockets of config.json/],
        [run(["serve", "--listen-fd", "0"], { home }), /descriptor 0 was passed .* it is not a socket/],
        [run(["serve", "--listen-fd", "1"], { home }), /must be the descriptor/]
      ] as const
      for (const [ended, message] of starts) {
        const { status, stderr } = yield* ended
        assert.strictEqual(status, 78)
        assert.match(stderr, message)
      }
    })
  )
})
