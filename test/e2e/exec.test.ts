/**
 * `secrets exec`: a program runs as if started directly, and its leases end with it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { auditOf } from "../harness/daemon.ts"
import { isScript, run, start, type Started } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { sharedDaemon, trustingTemporary } from "../harness/sharedDaemon.ts"
import { hasProc } from "../support/inside.ts"
import { randomFrom } from "../support/random.ts"
import { execRounds, value as token } from "../torture/exec.ts"

const daemon = sharedDaemon(
  { token, tiny: "abc", "with nul": "a\0secret", long: "x".repeat(140_000) },
  trustingTemporary
)

/** `secrets exec` with the token in TOKEN. */
const line = (...rest: ReadonlyArray<string>) => ["exec", "--secret", "token", ...rest]
const exec = (
  args: ReadonlyArray<string>,
  more: { stdin?: string; env?: Record<string, string>; through?: string } = {}
) => run(args, { home: daemon().home, ...more })
/** Starts a command that is killed when the test ends. */
const begin = (...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => start(args, { home: daemon().home })),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** The audit entries of a client, oldest first. */
const happened = (client: string) =>
  auditOf(daemon().directory)
    .filter((entry) => entry["client_id"] === client)
    .map((entry) => String(entry["action"]))

/** Of a program with one secret. */
const wholeRun = ["lease_acquire", "run_begin", "lease_revoke", "run_end"]

const until = (holds: () => boolean) =>
  Effect.sync(holds).pipe(Effect.repeat({ until: (now) => now, schedule: Schedule.spaced("5 millis") }))
const shows = (started: Started, text: string) => until(() => started.stdout().includes(text))
const endOf = (started: Started) => Effect.promise(() => started.ended)

describe.concurrent("secrets exec", () => {
  it.live("passes variables and standard input to the program, and prints nothing itself", () =>
    Effect.gen(function* () {
      const { status, stderr, stdout } = yield* exec(
        ["--json", ...line("--", "sh", "-c", 'printf %s "$TOKEN:"; cat')],
        {
          stdin: "x".repeat(200_000)
        }
      )
      assert.deepStrictEqual([status, stderr], [0, ""])
      assert.strictEqual(stdout, `${token}:${"x".repeat(200_000)}`)
    })
  )

  it.live("reads variables from the project file, and keeps the working directory", () =>
    Effect.gen(function* () {
      const directory = fs.realpathSync(yield* temporaryDirectory)
      fs.mkdirSync(path.join(directory, "below"))
      const content = { secrets: [{ name: "token", env_var: "API_KEY" }], client_id: "site" }
      fs.writeFileSync(path.join(directory, ".secrets.json"), JSON.stringify(content))
      const { stdout } = yield* exec(["exec", "sh", "-c", 'echo "$API_KEY $PWD $OTHER"'], {
        through: `cd '${directory}/below' && OTHER=kept exec "$@"`
      })
      assert.strictEqual(stdout, `${token} ${directory}/below kept\n`)
      const clients = auditOf(daemon().directory).map((entry) => String(entry["client_id"]))
      assert.isTrue(clients.some((id) => id.startsWith(`${os.hostname()}/site/sh[`) && /\[\d+\]$/.test(id)))
      assert.deepStrictEqual(fs.readdirSync(directory), [".secrets.json", "below"])
    })
  )

  it.live("exits as the program does, and revokes its leases", () =>
    Effect.gen(function* () {
      for (const [at, [command, status]] of [
        [["sh", "-c", "exit 3"], 3],
        [["sh", "-c", "kill -TERM $$"], 143],
        [["true"], 0]
      ].entries() as unknown as Iterable<[number, [ReadonlyArray<string>, number]]>) {
        const client = `end-${at}`
        const ended = yield* exec(line("--client-id", client, "--", ...command))
        assert.deepStrictEqual([ended.status, ended.stderr], [status, ""], command.join(" "))
        assert.deepStrictEqual(happened(client), wholeRun)
      }
      // What cannot be started gets no lease.
      for (const [command, status] of [
        ["no-such-program", 127],
        ["/etc/passwd", 126]
      ] as const) {
        const ended = yield* exec(line("--client-id", "none", "--", command))
        assert.deepStrictEqual([ended.status, ended.stdout], [status, ""], command)
      }
      assert.deepStrictEqual(happened("none"), [])
    })
  )

  it.live("starts nothing when a secret is missing, and does not print a value that cannot be passed", () =>
    Effect.gen(function* () {
      const missing = yield* exec(line("--secret", "nope", "--", "echo", "ran"))
      assert.deepStrictEqual([missing.status, missing.stdout], [4, ""])
      const unfit = yield* exec(line("--secret", "with nul=NUL", "--", "echo", "ran"))
      assert.deepStrictEqual([unfit.status, unfit.stdout], [1, ""])
      assert.match(unfit.stderr, /cannot be in the environment: NUL\n/)
      assert.notInclude(unfit.stderr, "a\\")
      const steering = yield* exec(["exec", "--secret", "token=LD_PRELOAD", "--", "echo", "ran"])
      assert.deepStrictEqual([steering.status, steering.stdout], [2, ""])
      const long = yield* exec(["exec", "--client-id", "long", "--secret", "long=LONG", "--", "echo", "ran"])
      if (process.platform === "linux") {
        assert.deepStrictEqual([long.status, long.stdout], [5, ""])
        assert.include(long.stderr, "for the variable LONG\n")
        assert.deepStrictEqual(happened("long"), ["lease_acquire"])
        assert.isFalse(auditOf(daemon().directory).find((entry) => entry["client_id"] === "long")?.["success"])
      }
    })
  )

  it.live("runs with only HOME and PATH in the environment", () =>
    Effect.gen(function* () {
      const through = `exec env -i HOME="$HOME" PATH="$PATH" "$@"`
      const { stdout } = yield* exec(line("--", "env"), { through })
      const names = stdout.split("\n").flatMap((one) => one.match(/^[A-Z]+(?==)/)?.[0] ?? [])
      assert.deepStrictEqual(names.toSorted(), ["HOME", "PATH", "TOKEN"])
    })
  )

  it.live("does not revoke the leases of another `exec` beside it", () =>
    Effect.gen(function* () {
      const all = yield* Effect.all(
        [1, 2].map(() => exec(line("--", "sh", "-c", "echo $PPID"))),
        { concurrency: 2 }
      )
      for (const { stdout } of all) {
        const client = auditOf(daemon().directory).find((entry) =>
          entry["client_id"]?.endsWith(`/sh[${stdout.trim()}]`)
        )
        assert.deepStrictEqual(happened(String(client?.["client_id"])), wholeRun)
      }
    })
  )

  it.live("forwards signals to the program and its children, and waits for it", () =>
    Effect.gen(function* () {
      const script =
        'trap "echo usr1" USR1; trap "echo got; exit 9" TERM; (trap "" USR1; trap "echo child; exit" TERM; echo ready; n=0; while [ $n -lt 500 ]; do n=$((n+1)); sleep 0.02; done) & while kill -0 $! 2>&-; do wait $!; done'
      const started = yield* begin(...line("--client-id", "signals", "--", "sh", "-c", script))
      yield* shows(started, "ready")
      started.child.kill("SIGUSR1")
      yield* shows(started, "usr1")
      started.child.kill("SIGTERM")
      const { signal, status, stdout } = yield* endOf(started)
      assert.deepStrictEqual([status, signal], [9, null])
      assert.include(stdout, "child")
      assert.deepStrictEqual(happened("signals"), wholeRun)
    })
  )

  it.live("waits for a program that ignores SIGTERM", () =>
    Effect.gen(function* () {
      const started = yield* begin(...line("--", "sh", "-c", 'trap "" TERM INT HUP; echo $$; sleep 20'))
      yield* shows(started, "\n")
      for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGTERM"] as const) started.child.kill(signal)
      yield* Effect.sleep("100 millis")
      assert.isNull(started.child.exitCode)
      process.kill(-Number(started.stdout()), "SIGKILL")
      assert.strictEqual((yield* endOf(started)).status, 137)
    })
  )

  it.live("hands on open descriptors, and none of its own", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const through = `exec "$@" 3>'${directory}/three' 4<'${directory}/three' 7>&3`
      const script = `echo "$TOKEN" >&3; cat <&4; ${hasProc ? "echo /proc/self/fd/*" : "echo"}`
      const { status, stdout } = yield* exec(line("--", "bash", "-c", script), { through })
      const [written, open = ""] = stdout.split("\n")
      assert.deepStrictEqual([status, written], [0, token])
      if (hasProc) {
        // The shell lists a directory, and has some of its own from the caller.
        const numbers = open.split(" ").map((name) => Number(path.basename(name)))
        assert.deepStrictEqual(numbers.filter((fd) => fd < 10).toSorted(), [0, 1, 2, 3, 4, 5, 7])
      }
    })
  )

  it.live.runIf(isScript)("gives the program SIGUSR1 by the launcher too, and leaves ignored signals ignored", () =>
    Effect.gen(function* () {
      const launcher = path.resolve(import.meta.dirname, "../../bin/secrets")
      const script = 'kill -HUP $$; trap "echo usr1; exit 4" USR1; echo ready; while :; do sleep 0.02; done'
      const started = yield* Effect.acquireRelease(
        Effect.sync(() =>
          start(line("--", "sh", "-c", script), {
            home: daemon().home,
            env: { PATH: `${path.dirname(process.execPath)}:/usr/bin:/bin` },
            through: `shift 2; trap "" HUP; exec '${launcher}' "$@"`
          })
        ),
        ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
      )
      yield* shows(started, "ready")
      started.child.kill("SIGUSR1")
      const { status, stdout } = yield* endOf(started)
      assert.deepStrictEqual([status, stdout], [4, "ready\nusr1\n"])
    })
  )

  it.live.runIf(isScript)("runs where the working directory was removed", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const through = `mkdir '${directory}/gone' && cd '${directory}/gone' && rmdir ../gone && exec "$@"`
      const ran = yield* exec(line("--", "echo", "ran"), { through })
      assert.deepStrictEqual([ran.status, ran.stdout, ran.stderr], [0, "ran\n", ""])
      const { status, stderr } = yield* exec(["cleanup"], { through })
      assert.strictEqual(stderr, "secrets cleanup: the current directory was removed\n  Change to another directory\n")
      assert.strictEqual(status, 2)
    })
  )

  it.live("stops a program whose lease ends, with --stop-at-expiry", () =>
    Effect.gen(function* () {
      const { status, stderr } = yield* exec(line("--ttl", "300ms", "--stop-at-expiry", "--", "sleep", "60"))
      assert.deepStrictEqual([status, stderr], [143, "secrets exec: warning: a lease expired; stopping the program\n"])
    })
  )
})

describe.concurrent("programs of secrets exec", () => {
  it.live("leave no lease and no process, and keep their exit status, however they end (a short stress run)", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const options = { rounds: 1, random: randomFrom(4), log: (text: string) => void logged.push(text) }
      const { failed } = yield* Effect.promise(() => execRounds(daemon().home, options))
      assert.strictEqual(failed, 0, logged.join("\n"))
    })
  )
})

describe.concurrent("secrets exec --mask", () => {
  it.live("replaces the value and its encodings by asterisks in both outputs, and nothing else", () =>
    Effect.gen(function* () {
      const script = [
        'printf "\\033[31m$TOKEN\\033[0m €\\n"',
        'printf "%s" "${TOKEN%????}"; sleep 0.02; printf "%s\\n" "${TOKEN#"${TOKEN%????}"}"',
        'printf "user:$TOKEN" | base64',
        'echo "err $TOKEN" >&2'
      ].join("; ")
      const { status, stderr, stdout } = yield* exec(line("--mask", "--", "sh", "-c", script))
      assert.deepStrictEqual([status, stderr], [0, "err ***\n"])
      const [colored, cut, encoded = ""] = stdout.split("\n")
      assert.deepStrictEqual([colored, cut], ["\u001b[31m***\u001b[0m €", "***"])
      assert.match(encoded, /^dXNlcj\S{0,2}\*\*\*\S{0,4}$/)
    })
  )

  it.live("warns about a value that is too short to be masked, by its name", () =>
    Effect.gen(function* () {
      const { stderr, stdout } = yield* exec(["exec", "--secret", "tiny", "--mask", "--", "sh", "-c", "echo $TINY"])
      assert.deepStrictEqual(
        [stdout, stderr],
        ["abc\n", "secrets exec: warning: values shorter than 4 bytes are not masked: TINY\n"]
      )
    })
  )

  it.live("passes on a long output completely, and the end by a signal", () =>
    Effect.gen(function* () {
      const script =
        'i=0; while [ $i -lt 2000 ]; do echo "$i $TOKEN 0123456789012345678901234567890123456789"; i=$((i+1)); done; kill -KILL $$'
      const { status, stdout } = yield* exec(line("--mask", "--", "sh", "-c", script), {
        through: '"$@" | { sleep 0.2; cat; }; exit 0'
      })
      assert.strictEqual(status, 0)
      const lines = stdout.trimEnd().split("\n")
      assert.strictEqual(lines.length, 2000)
      assert.strictEqual(lines.at(-1), "1999 *** 0123456789012345678901234567890123456789")
    })
  )

  it.live("says why output was lost, and fails where the program succeeded", () =>
    Effect.gen(function* () {
      for (const [script, expected] of [
        ["echo hi", 1],
        ["echo hi; exit 7", 7]
      ] as const) {
        const ended = yield* exec(line("--mask", "--", "sh", "-c", script), { through: 'exec "$@" >/dev/full' })
        assert.strictEqual(ended.status, expected)
        assert.strictEqual(ended.stderr, "secrets exec: warning: cannot write the program's output: ENOSPC\n")
      }
    })
  )

  it.live("does not wait for background processes that hold the output open", () =>
    Effect.gen(function* () {
      const started = yield* begin(...line("--mask", "--", "sh", "-c", 'sleep 30 & echo "$! $TOKEN"; exit 4'))
      const { status, stdout } = yield* endOf(started)
      // First, because without a pid the signal would go to this process.
      assert.match(stdout, /^[1-9]\d+ \*\*\*\n$/)
      process.kill(Number(stdout.split(" ")[0]), "SIGKILL")
      assert.strictEqual(status, 4)
    })
  )

  // The runtime of the binary gives the program pipes without paths, and sends no SIGPIPE.
  it.live.runIf(isScript)(
    "ends the program by SIGPIPE, without a message, when the reader of the output has gone",
    () =>
      Effect.gen(function* () {
        const { stderr, stdout } = yield* exec(line("--mask", "--", "sh", "-c", "while echo more; do :; done"), {
          through: '{ "$@"; echo "status $?" >&2; } | head -n 1'
        })
        assert.deepStrictEqual([stdout, stderr], ["more\n", "status 141\n"])
      })
  )

  // The runtime of the binary gives the program pipes without paths, and sends no SIGPIPE.
  it.live.runIf(isScript)("gives the program outputs that it can open by path, and leaves no files behind", () =>
    Effect.gen(function* () {
      const places = yield* temporaryDirectory
      const script = 'echo "$TOKEN" > /dev/stdout; echo "$TOKEN" > /dev/stderr'
      const { status, stderr, stdout } = yield* exec(line("--mask", "--", "sh", "-c", script), {
        env: { XDG_RUNTIME_DIR: places }
      })
      assert.deepStrictEqual([status, stdout, stderr], [0, "***\n", "***\n"])
      const missing = yield* exec(line("--mask", "--", "no-such-program"), { env: { XDG_RUNTIME_DIR: places } })
      assert.strictEqual(missing.status, 127)
      assert.deepStrictEqual(fs.readdirSync(places), [])
      const elsewhere = yield* exec(line("--mask", "--", "sh", "-c", 'echo "$TOKEN"'), {
        env: { XDG_RUNTIME_DIR: path.join(places, "not-there") }
      })
      assert.deepStrictEqual([elsewhere.status, elsewhere.stdout], [0, "***\n"])
    })
  )
})
