/**
 * `secrets exec` and a revoke: the program is ended, signalled, restarted or left alone, and the
 * daemon knows what became of it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { auditOf, startDaemon, rpc } from "../harness/daemon.ts"
import { start, type Started } from "../harness/program.ts"
import { sharedDaemon } from "../harness/sharedDaemon.ts"
import { openTerminal } from "../harness/terminal.ts"
import { shellWords } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { until, untilTrue } from "../support/waiting.ts"

const daemon = sharedDaemon({ token: "first", gone: "x", other: "y" })

/** Starts `exec` for a client of this name; it is killed when the test ends. */
const begin = (home: string, client: string, ...line: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => start(["exec", "--client-id", client, "--secret", "token", ...line], { home })),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )
const exec = (client: string, ...line: ReadonlyArray<string>) => begin(daemon().home, client, ...line)
const shows = (started: Started, text: string) => until(() => started.stdout().includes(text))
const endOf = (started: Started) => Effect.promise(() => started.ended)
const revoke = (client: string) => daemon().call("revokeMatching", { client_id: client })

const happened = (directory: string, client: string) =>
  auditOf(directory)
    .filter((entry) => entry["client_id"] === client && String(entry["action"]).startsWith("run_"))
    .map(({ action, details }) => [action, details].filter((one) => one !== undefined && one !== "").join(": "))

/** Returns whether each program that runs has the current value. */
const isHeldNow = ({ result }: { readonly result?: any }) =>
  result?.runs_with_older_value.length === 0 && result.clients.some((row: any) => row.runs === 1)

const loop = "n=0; while [ $n -lt 3000 ]; do n=$((n+1)); sleep 0.02; done"
const forever = `echo ready; ${loop}`
const stubborn = `trap "" TERM; ${forever}`
const revoked = 'secrets exec: warning: "token" was revoked; '

describe.concurrent("the program of exec", () => {
  it.live("ends when its secret is revoked, and the daemon and the person learn why", () =>
    Effect.gen(function* () {
      const started = yield* exec("plain", "--", "sh", "-c", forever)
      yield* shows(started, "ready")
      yield* revoke("plain")
      const { status, stderr } = yield* endOf(started)
      assert.deepStrictEqual([status, stderr], [143, `${revoked}stopping the program\n`])
      assert.deepStrictEqual(happened(daemon().directory, "plain"), [
        "run_begin",
        "run_told: revoked",
        "run_end: status 143, SIGTERM, revoked"
      ])
    })
  )

  it.live("is killed if it ignores that, and so is what it leaves in its group, masked or not", () =>
    Effect.gen(function* () {
      for (const flags of [[], ["--mask"]]) {
        const client = `stubborn${flags.length}`
        const script = `sh -c '${stubborn}' & echo child $!; wait`
        const started = yield* exec(client, ...flags, "--kill-timeout", "200ms", "--json", "--", "sh", "-c", script)
        yield* shows(started, "ready")
        yield* revoke(client)
        const { status, stderr, stdout } = yield* endOf(started)
        assert.strictEqual(status, 143)
        const { because, secret, signal } = JSON.parse(stderr)
        assert.deepStrictEqual([because, secret, signal], ["revoked", "token", "SIGTERM"])
        const child = Number(/child (\d+)/.exec(stdout)?.[1])
        assert.isAbove(child, 1)
        // Killed, though nobody may have waited for it yet.
        yield* until(() => isGone(child))
      }
    })
  )

  it.live("gets another signal, or a command is run, if that is wished", () =>
    Effect.gen(function* () {
      const trap = `trap "echo hup; exit 5" HUP; ${forever}`
      const [hup, run, fails] = yield* Effect.all([
        exec("hup", "--on-revoke", "hup", "--", "sh", "-c", trap),
        exec(
          "run",
          "--on-revoke",
          'echo "$SECRET_NAME $AGENT_SECRETS_BECAUSE ${TOKEN-none}"; kill -HUP $AGENT_SECRETS_PROGRAM',
          "--",
          "sh",
          "-c",
          trap
        ),
        exec("fails", "--on-revoke", "exit 1", "--", "sh", "-c", forever)
      ])
      for (const one of [hup, run, fails]) yield* shows(one, "ready")
      for (const client of ["hup", "run", "fails"]) yield* revoke(client)
      const hung = yield* endOf(hup)
      assert.strictEqual(hung.status, 5)
      assert.include(hung.stderr, `${revoked}sent SIGHUP to the program\n`)
      const ran = yield* endOf(run)
      assert.strictEqual(ran.status, 5)
      assert.include(ran.stderr, `${revoked}running the command of --on-revoke\n`)
      assert.include(ran.stderr, "token revoked none\n")
      const failed = yield* endOf(fails)
      assert.strictEqual(failed.status, 143)
      assert.include(failed.stderr, `${revoked}the command of --on-revoke failed, so stopping the program\n`)
    })
  )

  it.live("outlives a revoke with none, a lease that is replaced, and the end of a sibling", () =>
    Effect.gen(function* () {
      const wait = "echo ready; read line; echo $line"
      const patient = (client: string, ...flags: ReadonlyArray<string>) =>
        Effect.acquireRelease(
          Effect.sync(() =>
            start(["exec", "--client-id", client, "--secret", "token", ...flags, "--", "sh", "-c", wait], {
              home: daemon().home,
              through: '{ while [ ! -e "$HOME/go" ]; do sleep 0.02; done; echo done; } | "$@"'
            })
          ),
          ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
        )
      const [none, first] = [yield* patient("none", "--on-revoke", "none"), yield* patient("same")]
      yield* shows(first, "ready")
      yield* shows(none, "ready")
      yield* revoke("none")
      // Replaces its lease, and ends; then one that is rolled back.
      assert.strictEqual((yield* endOf(yield* exec("same", "--", "true"))).status, 0)
      const rejected = yield* endOf(yield* exec("same", "--secret", "missing", "--", "true"))
      assert.strictEqual(rejected.status, 4)
      const last = yield* exec("last", "--", "sh", "-c", forever)
      yield* shows(last, "ready")
      yield* revoke("last")
      yield* endOf(last)
      fs.writeFileSync(path.join(daemon().home, "go"), "")
      for (const one of [none, first]) {
        const { status, stderr, stdout } = yield* endOf(one)
        assert.deepStrictEqual([status, stderr, stdout], [0, "", "ready\ndone\n"])
      }
    })
  )

  it.live("is restarted with the new value, without the input of the old one", () =>
    Effect.gen(function* () {
      const script = `echo "value $OTHER" $(cat); ${loop}`
      const started = yield* Effect.acquireRelease(
        Effect.sync(() =>
          start(["exec", "--client-id", "watch", "--secret", "other", "--watch", "--", "sh", "-c", script], {
            home: daemon().home,
            stdin: "input"
          })
        ),
        ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
      )
      yield* shows(started, "value y input\n")
      yield* daemon().call("update", { name: "other", value: "z" })
      yield* shows(started, "value z\n")
      const exposure = () => daemon().call("secrets.exposure", { secret_name: "other" })
      yield* untilTrue(Effect.map(exposure(), isHeldNow))
      started.child.kill("SIGTERM")
      const { status, stderr } = yield* endOf(started)
      assert.deepStrictEqual(
        [status, stderr],
        [143, 'secrets exec: warning: "other" has a new value; restarting the program\n']
      )
      const leases = auditOf(daemon().directory).filter((entry) => entry["client_id"] === "watch")
      assert.deepStrictEqual(
        leases.map(({ action }) => action),
        ["lease_acquire", "run_begin", "run_told", "lease_replace", "lease_acquire", "lease_revoke", "run_end"]
      )
    })
  )

  it.live("ends when its secret is deleted, on a terminal too, where the reason is shown after it", () =>
    Effect.gen(function* () {
      const line = `${shellWords} exec --client-id deleted --secret gone -- sh -c 'trap "echo bye; exit 3" TERM; ${forever}'`
      const terminal = openTerminal(`${line}; echo "status $?"`, daemon().home)
      yield* Effect.promise(() => terminal.shows("ready"))
      yield* daemon().call("delete", { name: "gone" })
      const { shown } = yield* Effect.promise(() => terminal.ended)
      assert.match(shown, /bye\r\nsecrets exec: warning: "gone" was deleted; stopped the program\r\nstatus 3/)
    })
  )

  it.live("rejects what it cannot do, before anything is leased", () =>
    Effect.gen(function* () {
      for (const [message, ...flags] of [
        ["--on-revoke must be term", "--on-revoke", "trem"],
        ["--watch has no effect with --no-register", "--watch", "--no-register"]
      ] as const) {
        const { status, stderr } = yield* endOf(yield* exec("wrong", ...flags, "--", "true"))
        assert.strictEqual(status, 2)
        assert.include(stderr, message)
      }
      assert.deepStrictEqual(
        auditOf(daemon().directory).filter((entry) => entry["client_id"] === "wrong"),
        []
      )
    })
  )
})

describe.concurrent("the program of exec and a daemon that goes", () => {
  it.live("ends after the restart of a daemon that was killed right after the revoke, and with the killswitch", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const first = yield* startDaemon({ home })
      yield* rpc(first.socket, "add", { name: "token", value: "x" })
      const [one, other] = [
        yield* begin(home, "one", "--", "sh", "-c", forever),
        yield* begin(home, "other", "--", "sh", "-c", forever)
      ]
      yield* shows(one, "ready")
      yield* shows(other, "ready")
      // Stopped, it does not read what the daemon reports.
      one.child.kill("SIGSTOP")
      yield* rpc(first.socket, "revokeMatching", { client_id: "one" })
      yield* first.stop("SIGKILL")
      one.child.kill("SIGCONT")
      const second = yield* startDaemon({ home })
      const { status, stderr } = yield* endOf(one)
      assert.strictEqual(status, 143)
      assert.include(stderr, `${revoked}stopping the program\n`)
      assert.isNull(other.child.exitCode)
      yield* rpc(second.socket, "revokeAll", {})
      const ended = yield* endOf(other)
      assert.strictEqual(ended.status, 143)
      assert.include(ended.stderr, "every lease was revoked; stopping the program\n")
    })
  )

  it.live("runs on without a daemon, unless it is required", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { socket, stop } = yield* startDaemon({ home })
      yield* rpc(socket, "add", { name: "token", value: "x" })
      const script = 'trap "exit 6" USR1; echo ready; n=0; while [ $n -lt 3000 ]; do n=$((n+1)); sleep 0.02; done'
      const needs = yield* begin(
        home,
        "needs",
        "--require-daemon",
        "500ms",
        "--timeout",
        "1",
        "--",
        "sh",
        "-c",
        forever
      )
      const free = yield* begin(home, "free", "--timeout", "1", "--", "sh", "-c", script)
      yield* shows(needs, "ready")
      yield* shows(free, "ready")
      yield* stop()
      const { status, stderr } = yield* endOf(needs)
      assert.strictEqual(status, 143)
      assert.match(stderr, /^secrets exec: warning: the daemon did not answer for too long; stopping the program\n/)
      free.child.kill("SIGUSR1")
      assert.strictEqual((yield* endOf(free)).status, 6)
    })
  )

  it.live("runs as before with a daemon that knows no runs, and refuses to promise more", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const asked: Array<string> = []
      fs.mkdirSync(path.join(home, ".agent-secrets"), { mode: 0o700 })
      const server = net.createServer((connection) =>
        connection.once("data", (line) => {
          const { id, method } = JSON.parse(String(line))
          asked.push(method)
          const result =
            method === "secrets.lease"
              ? { lease_id: "l", value: "v", expires_at: "2099-01-01T00:00:00Z" }
              : { success: true }
          const error = { code: -32601, message: `method "${method}" not found` }
          const known = String(method).startsWith("secrets.")
          connection.end(`${JSON.stringify({ jsonrpc: "2.0", id, ...(known ? { result } : { error }) })}\n`)
        })
      )
      yield* Effect.acquireRelease(
        Effect.promise(
          () => new Promise<void>((done) => server.listen(path.join(home, ".agent-secrets/agent-secrets.sock"), done))
        ),
        () => Effect.sync(() => server.close())
      )
      const { status, stderr, stdout } = yield* endOf(
        yield* begin(home, "old", "--", "sh", "-c", "echo $TOKEN; exit 3")
      )
      assert.deepStrictEqual([status, stderr, stdout], [3, "", "v\n"])
      assert.deepStrictEqual(asked, ["secrets.lease", "runs.begin", "secrets.revoke"])
      const needs = yield* endOf(yield* begin(home, "old", "--require-daemon", "1m", "--", "true"))
      assert.deepStrictEqual([needs.status, needs.stdout], [5, ""])
      assert.include(needs.stderr, "Restart the daemon")
    })
  )
})

const isGone = (pid: number): boolean => {
  try {
    return fs.readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ")
  } catch {
    return !isAlive(pid)
  }
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
