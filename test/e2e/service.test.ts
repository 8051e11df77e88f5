/**
 * The service through the built command: installed, inspected, started, stopped and removed, under
 * a fake systemd that starts real daemons.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { auditOf, modeOf, rpc, startDaemon } from "../harness/daemon.ts"
import { type Ended, installProgram, invocation, isScript, run, shellVariables } from "../harness/program.ts"
import { asFakeUser, fakeMac } from "../support/fakeMac.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { eventually, until } from "../support/waiting.ts"

const support = path.resolve(import.meta.dirname, "../support")

/** A home directory, and a fake systemctl first on the PATH; launchd is tested with a fake elsewhere. */
const withSystemd = Effect.gen(function* () {
  const home = yield* temporaryDirectory
  const standIn = path.join(home, "stand-in")
  fs.mkdirSync(standIn)
  const script = `#!/bin/sh\nSTAND_IN='${standIn}' ${shellVariables} exec '${process.execPath}' '${support}/systemctl.mjs' "$@"\n`
  fs.writeFileSync(path.join(standIn, "systemctl"), script, { mode: 0o755 })
  fs.writeFileSync(path.join(standIn, "journalctl"), `#!/bin/sh\necho "$*"; cat '${standIn}/log'\n`, { mode: 0o755 })
  const env = { PATH: `${standIn}:/usr/bin:/bin` }
  const through = asFakeUser(1000)
  const stopped = () => {
    const pid = path.join(standIn, "pid")
    if (fs.existsSync(pid)) process.kill(Number(fs.readFileSync(pid, "utf8")), "SIGKILL")
  }
  yield* Effect.addFinalizer(() => Effect.sync(stopped))
  const daemon = (...words: ReadonlyArray<string>) => run(["daemon", ...words], { home, env, through })
  const calls = () =>
    fs
      .readFileSync(path.join(standIn, "calls"), "utf8")
      .split("\n")
      .filter((call) => !/^(?:show.*)?$/.test(call))
  return { home, daemon, calls, unit: path.join(home, ".config/systemd/user/dev.agent-secrets.service") }
})

const short = ({ status, stdout, stderr }: Ended) => [status, (stdout + stderr).split("\n")[0]]
const resultOf = ({ stdout }: Ended): any => JSON.parse(stdout).result

const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe.runIf(isScript)("the service of a user", () => {
  it.live("is not there for certain without a file, also where systemd cannot be asked", () =>
    Effect.gen(function* () {
      const { daemon, home } = yield* withSystemd
      const noBus = "#!/bin/sh\necho 'Failed to connect to bus: No medium found' >&2\nexit 1\n"
      fs.writeFileSync(path.join(home, "stand-in/systemctl"), noBus)
      const why = "systemd cannot be asked: Failed to connect to bus: No medium found (exit status 1)"
      const none = `not installed: there is no service file, and ${why}`
      assert.deepStrictEqual(short(yield* daemon("status")), [4, none])
      assert.deepStrictEqual(short(yield* daemon("uninstall")), [0, none])
      assert.deepStrictEqual(short(yield* daemon("uninstall", "--dry-run")), [0, none])
      assert.include((yield* daemon("install", "--dry-run")).stdout, `${why}. Log in directly`)
      const installed = yield* daemon("install")
      const show = "systemctl --user show dev.agent-secrets.service"
      assert.deepStrictEqual([installed.status, installed.stderr.split(": ")[1]], [1, show])
    })
  )

  it.live("is installed and removed, and each of its states is reported", () =>
    Effect.gen(function* () {
      const { calls, daemon, home, unit } = yield* withSystemd
      assert.deepStrictEqual(short(yield* daemon("status")), [4, "not installed: systemd has no such service"])
      const dry = yield* daemon("install", "--dry-run")
      assert.match(
        dry.stdout,
        /^write .*\.service\n {4}# rendered by agent-secrets[\s\S]*\nrun systemctl --user daemon-reload\n[\s\S]*\n.* loginctl enable-linger\n$/
      )
      assert.isFalse(fs.existsSync(path.join(home, ".config")))
      const installed = resultOf(yield* daemon("install", "--json"))
      assert.isTrue(alive(installed.pid))
      assert.deepStrictEqual(calls(), [
        "daemon-reload",
        "enable dev.agent-secrets.service",
        "start dev.agent-secrets.service"
      ])
      const restarted = yield* daemon("restart")
      assert.match(restarted.stdout, /^restarted; running since /, restarted.stderr)
      const { pid, state } = resultOf(yield* daemon("status", "--json"))
      assert.strictEqual(state, "running")
      assert.notStrictEqual(pid, installed.pid)
      process.kill(pid, "SIGKILL")
      yield* until(() => !fs.existsSync(path.join(home, "stand-in/pid")))
      assert.deepStrictEqual(short(yield* daemon("status")), [
        1,
        "failing: the daemon exited (killed by SIGKILL), and systemd does not restart it"
      ])
      assert.match((yield* daemon("start")).stdout, /^running as process \d+\n$/)
      const logs = yield* daemon("logs", "-n", "3")
      assert.match(logs.stdout, /^--user --unit=dev\.agent-secrets\.service .*--lines=3\n[\s\S]* serves /)
      const settings = path.join(home, ".agent-secrets/config.json")
      fs.writeFileSync(settings, "{ not JSON")
      assert.strictEqual((yield* daemon("logs", "-n", "3")).stdout, logs.stdout)
      fs.rmSync(settings)
      assert.strictEqual((yield* daemon("stop")).status, 0)
      fs.appendFileSync(unit, "# mine\n")
      assert.deepStrictEqual(short(yield* daemon("uninstall")), [
        5,
        `secrets daemon: ${unit} was edited since this command wrote it`
      ])
      assert.strictEqual((yield* daemon("uninstall", "--force")).status, 0)
      assert.include(fs.readFileSync(`${unit}.bak`, "utf8"), "# mine")
      assert.isTrue(fs.existsSync(path.join(home, ".agent-secrets/secrets.age")))
    }).pipe(Effect.scoped)
  )

  it.live("is removed again if it cannot start, and does not displace another daemon", () =>
    Effect.gen(function* () {
      const { daemon, home, unit } = yield* withSystemd
      fs.mkdirSync(path.join(home, ".agent-secrets"), { mode: 0o700 })
      fs.writeFileSync(path.join(home, ".agent-secrets/secrets.age"), "not a store")
      const refused = yield* daemon("install")
      assert.strictEqual(refused.status, 1)
      assert.match(
        refused.stderr,
        /exit status 65, the store cannot be read; all changes were undone\n {2}Run secrets serve/
      )
      assert.isFalse(fs.existsSync(unit))
      fs.rmSync(path.join(home, ".agent-secrets/secrets.age"))
      const other = yield* startDaemon({ home })
      const occupied = yield* daemon("install")
      assert.strictEqual(occupied.status, 75)
      assert.include(occupied.stderr, `a daemon is already running (process ${other.pid}), and it is not this service`)
      assert.deepStrictEqual(short(yield* daemon("status")), [
        0,
        `running unmanaged: process ${other.pid} answers, started by hand or by another supervisor`
      ])
      assert.isFalse(fs.existsSync(unit))
    }).pipe(Effect.scoped)
  )
})

describe.runIf(isScript)("the service of a user on macOS", () => {
  it.live("is installed, restarts when the daemon requests it, and is removed", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { calls, daemon, end } = fakeMac(home)
      yield* Effect.addFinalizer(() => Effect.sync(end))
      const documents = path.join(home, "Documents")
      fs.mkdirSync(documents)
      fs.symlinkSync(documents, path.join(home, "link"))
      fs.writeFileSync(path.join(documents, "config.json"), "{}")
      const refused = yield* daemon("install", "--config", path.join(home, "link/config.json"))
      assert.deepStrictEqual(short(refused), [
        78,
        `secrets daemon: ${home}/link/config.json is in Documents, which macOS keeps from the jobs of launchd`
      ])
      const { file, pid, remarks } = resultOf(yield* daemon("install", "--json"))
      assert.include(remarks.join(), "macOS may report a background item")
      assert.strictEqual(file, path.join(home, "Library/LaunchAgents/dev.agent-secrets.daemon.plist"))
      assert.strictEqual((yield* daemon("restart")).status, 0)
      assert.include(
        auditOf(path.join(home, ".agent-secrets")).map(({ action }) => action),
        "daemon_restart"
      )
      assert.isFalse(alive(pid))
      assert.match((yield* daemon("logs", "-n", "1")).stdout, / serves /)
      assert.match((yield* daemon("start")).stdout, /^running as process \d+\n$/)
      assert.strictEqual((yield* daemon("stop")).status, 0)
      assert.match((yield* daemon("start")).stdout, /^running as process \d+\n$/)
      assert.strictEqual((yield* daemon("uninstall")).status, 0)
      assert.isFalse(fs.existsSync(file))
      const target = "gui/501/dev.agent-secrets.daemon"
      const start = [`enable ${target}`, `bootstrap gui/501 ${file}`, `kickstart ${target}`]
      const stop = `bootout ${target}`
      assert.deepStrictEqual(calls(), [...start, ...start, stop, ...start, stop])
    }).pipe(Effect.scoped)
  )
})

describe.runIf(isScript)("the service of the system", () => {
  it.live("is rendered for the user it runs as, and only for root", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      fs.writeFileSync(path.join(home, "getent"), "#!/bin/sh\necho agent:x:99:99::/var/lib/agent:/bin/false\n", {
        mode: 0o755
      })
      const env = { PATH: `${home}:/usr/bin:/bin` }
      const daemon = (uid: number, ...words: ReadonlyArray<string>) =>
        run(["daemon", "install", ...words], { home, env, through: asFakeUser(uid) })
      const [mine, notRoot, nobody, system] = yield* Effect.all(
        [
          daemon(0, "--dry-run"),
          daemon(1000, "--system", "--user", "agent"),
          daemon(0, "--system", "--dry-run"),
          daemon(1000, "--system", "--user", "agent", "--group", "people", "--dry-run")
        ],
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(short(mine), [2, "secrets daemon: root has no user service"])
      assert.deepStrictEqual(short(notRoot), [2, "secrets daemon: changing a system service requires root"])
      assert.deepStrictEqual(short(nobody), [2, "secrets daemon: a system service needs --user, the user it runs as"])
      assert.deepStrictEqual(short(system), [0, "write /etc/systemd/system/dev.agent-secrets.service"])
      for (const line of ["User=agent", "Group=people", "ReadWritePaths=/var/lib/agent/.agent-secrets"]) {
        assert.include(system.stdout, `\n    ${line}\n`)
      }
      assert.match(system.stdout, /\nrun systemctl daemon-reload\nrun systemctl enable dev\.agent-secrets\.service\n/)
    }).pipe(Effect.scoped)
  )
})

describe("the installer of a service account", () => {
  it.live("finds every command that it calls, under a foreign supervisor", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const installed = installProgram(path.join(home, ".local"))
      fs.mkdirSync(path.join(home, "run"), { mode: 0o710 })
      const directory = path.join(home, ".agent-secrets")
      const config = path.join(directory, "config.json")
      fs.mkdirSync(directory, { mode: 0o700 })
      const socket = path.join(home, "run/agent-secrets.sock")
      const paths = Object.fromEntries(
        ["identity.age", "secrets.age", "audit.log", "leases.json"].map((file) => [
          `${file.split(".")[0]}_path`,
          path.join(directory, file)
        ])
      )
      const group = String(process.getgid?.() ?? 0)
      fs.writeFileSync(
        config,
        JSON.stringify({
          directory,
          socket_path: socket,
          socket_mode: "0660",
          socket_group: group,
          ...paths,
          theirs: 1
        })
      )
      const copied = [...invocation.slice(0, -1), installed].map((word) => `"${word}"`).join(" ")
      const line = `while :; do ${copied} serve --no-update-check --config "${config}" 2>>"$HOME/log"; done`
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn("/bin/sh", ["-c", line], {
            env: { HOME: home, PATH: "/usr/bin:/bin" },
            stdio: "ignore",
            detached: true
          })
        ),
        (supervisor) => Effect.sync(() => process.kill(-(supervisor.pid ?? 0), "SIGKILL"))
      )
      const through = `shift ${invocation.length}; exec ${copied} --no-update-check "$@"`
      const secrets = (...words: ReadonlyArray<string>) => run(words, { home, through })
      const serving = eventually(rpc(socket, "status"), (reply) => reply?.result?.running === true)
      const pidNow = () => JSON.parse(fs.readFileSync(path.join(directory, "daemon.json"), "utf8")).pid
      yield* serving
      const first = pidNow()
      assert.strictEqual(modeOf(socket), "660")
      if (fs.existsSync("/proc/self/cmdline")) {
        const shown = fs.readFileSync(`/proc/${first}/cmdline`, "utf8").replaceAll("\u0000", " ")
        assert.include(shown, "/.local/bin/secrets serve")
      }
      for (const words of [
        ["daemon", "restart", "--help"],
        ["list"],
        ["add", "probe", "--value", "one"],
        ["update", "probe", "--value", "two"]
      ]) {
        assert.strictEqual((yield* secrets(...words)).status, 0, words.join(" "))
      }
      const leased = yield* secrets("lease", "probe", "--ttl", "5m", "--client-id", "installer")
      assert.deepStrictEqual([leased.status, leased.stdout], [0, "two"])
      assert.strictEqual((yield* secrets("daemon", "restart")).status, 0)
      const second = pidNow()
      assert.notStrictEqual(second, first)
      assert.include(
        (yield* secrets("daemon", "status")).stdout,
        `process ${second} answers, started by another supervisor`
      )
      // A crash leaves a socket without a listener; the next daemon replaces it.
      process.kill(second, "SIGKILL")
      yield* serving
      const { active_leases: leases } = resultOf(yield* secrets("status", "--json"))
      assert.strictEqual(leases, 1)
      assert.strictEqual((yield* secrets("delete", "probe", "--force")).status, 0)
      assert.strictEqual((yield* secrets("audit", "--tail", "1")).status, 0)
      assert.include(
        auditOf(directory).map(({ action }) => action),
        "daemon_restart"
      )
      assert.strictEqual(modeOf(socket), "660")
      assert.strictEqual(JSON.parse(fs.readFileSync(config, "utf8")).theirs, 1)
    }).pipe(Effect.scoped)
  )
})
