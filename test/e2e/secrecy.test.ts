/**
 * No value appears where it should not. Known values pass through everything the program does and
 * through every kind of failure. Then all files and outputs are searched for them, in every
 * encoding.
 *
 * Some outputs contain a value on purpose: standard output of `secrets lease`, the results of
 * `secrets.lease` and, for a command that prints the value, `secrets.rotate`. Arguments that are no
 * value, such as a TTL, may be echoed. `--value` on the command line is the user's own decision.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { hasProc } from "../support/inside.ts"
import { formsIn } from "../support/leaks.ts"
import { connect, type RunningDaemon, startDaemon } from "../harness/daemon.ts"
import { run } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { until } from "../support/waiting.ts"

/** Test values that occur nowhere else. */
const values = {
  plain: "plain-made-up-value-7Qw",
  updated: "updated-made-up-value-K3x",
  lines: "-----BEGIN MADE UP-----\nbGluZSBvbmUgb2YgaXQ\nbGluZSB0d28gb2YgaXQ\n-----END MADE UP-----\n",
  quotes: 'it\'s "quoted" \\ and\ttabbed <&> $HOME `x`',
  unicode: "Schlüssel-é-密碼-🔑-made-up",
  base64: "TWFkZVVwQnV0TG9va3NMaWtlQmFzZTY0Kys=",
  printed: "printed-by-a-rotation-9Zt",
  failing: "printed-by-a-failing-hook-4Jm",
  garbage: "sent-in-a-broken-request-8Rv"
}

/** Everything written or printed, by place. */
class Evidence {
  readonly pieces: Array<readonly [where: string, bytes: Buffer]> = []

  add(where: string, what: string | Buffer): void {
    this.pieces.push([where, Buffer.from(what)])
  }

  /** A running daemon may remove a file meanwhile, such as children.json when its child ends. */
  addFilesBelow(directory: string): void {
    for (const entry of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) {
      const file = path.join(entry.parentPath, entry.name)
      try {
        if (entry.isFile()) this.add(file, fs.readFileSync(file))
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error
      }
    }
  }

  addProcess(pid: number): void {
    if (!hasProc) return
    for (const file of ["cmdline", "environ"]) {
      this.add(`${file} of the daemon`, fs.readFileSync(`/proc/${pid}/${file}`))
    }
  }

  leaks(): ReadonlyArray<string> {
    return this.pieces.flatMap(([where, bytes]) =>
      Object.entries(values).flatMap(([name, value]) =>
        formsIn(bytes, value)
          .slice(0, 1)
          .map((form) => `the value "${name}", as ${form}, in ${where}`)
      )
    )
  }
}

/** A home, a joelclaw and hooks that record their input, and commands whose output is kept. */
const setup = Effect.gen(function* () {
  const [home, outside] = [yield* temporaryDirectory, yield* temporaryDirectory]
  const received = path.join(outside, "received")
  const evidence = new Evidence()
  const noteDown = `{ echo "$0 $*"; env; } >> "${received}"`
  fs.writeFileSync(
    path.join(outside, "joelclaw"),
    `#!/bin/sh\n${noteDown}\ncat >> "${received}"; echo '{"ok":true}'\n`,
    {
      mode: 0o755
    }
  )
  // The output of the hooks is not searched.
  const [prints, failing] = [yield* temporaryDirectory, yield* temporaryDirectory].map((directory) =>
    path.join(directory, "value")
  )
  fs.writeFileSync(prints ?? "", values.printed)
  fs.writeFileSync(failing ?? "", values.failing)
  const env = { PATH: `${outside}:/usr/bin:/bin` }
  const secrets = Effect.fnUntraced(function* (line: string, stdin?: string) {
    const args = line.split(" ")
    const ended = yield* run(args, { home, ...(stdin === undefined ? {} : { stdin }) })
    // The one output that contains a value by design.
    const isLease = args.includes("lease") && ended.status === 0
    if (!isLease) evidence.add(`standard output of ${line}`, ended.stdout)
    evidence.add(`standard error of ${line}`, ended.stderr)
    return ended
  })
  return {
    home,
    received,
    evidence,
    secrets,
    start: startDaemon({ home, env }),
    hooks: {
      prints: `${noteDown}; cat "${prints}"`,
      fails: `${noteDown}; cat "${failing}"; cat "${failing}" >&2; exit 3`
    },
    stop: (daemon: RunningDaemon, signal: NodeJS.Signals = "SIGTERM") =>
      Effect.map(daemon.stop(signal), (ended) => {
        evidence.add("standard output of the daemon", ended.stdout)
        evidence.add("standard error of the daemon", ended.stderr)
        return ended
      })
  }
})

type Setup = Effect.Success<typeof setup>

const ordinaryLife = Effect.fnUntraced(function* ({ hooks, home, secrets }: Setup) {
  yield* Effect.forEach(
    ["plain", "lines", "quotes", "unicode", "base64"] as const,
    Effect.fnUntraced(function* (name) {
      assert.strictEqual((yield* secrets(`add ${name}`, `${values[name]}${name === "lines" ? "" : "\n"}`)).status, 0)
      assert.strictEqual((yield* secrets(`lease ${name}`)).stdout, values[name])
    }),
    { concurrency: 4, discard: true }
  )
  yield* secrets("update plain", values.updated)
  yield* secrets("lease plain --json --client-id c --ttl 5m")
  const addHook = (name: string, command: string, args: ReadonlyArray<string>) =>
    run(["add", name, "--rotate-via", command, ...args], { home, stdin: values.plain })
  assert.strictEqual((yield* addHook("taken", hooks.prints, ["--rotate-stdout"])).status, 0)
  assert.strictEqual((yield* addHook("left", hooks.prints, [])).status, 0)
  assert.strictEqual((yield* addHook("failing", hooks.fails, [])).status, 0)
  assert.strictEqual((yield* addHook("failing2", hooks.fails, ["--rotate-stdout"])).status, 0)
  yield* secrets("rotate taken")
  assert.strictEqual((yield* secrets("lease taken")).stdout, values.printed)
  for (const line of ["rotate left", "rotate failing", "rotate --all", "rotate --all --json", "rotate taken --json"]) {
    yield* secrets(line)
  }
  const looks = ["list", "show plain", "show lines", "status", "health", "audit --tail 200"].flatMap((line) => [
    line,
    `${line} --json`
  ])
  yield* Effect.forEach(
    looks,
    (line) => Effect.map(secrets(line), ({ status }) => assert.strictEqual(status, 0, line)),
    { concurrency: 4, discard: true }
  )
})

const wrongLines = Effect.fnUntraced(function* ({ secrets }: Setup) {
  const lines: ReadonlyArray<readonly [line: string, stdin?: string]> = [
    [`add name ${values.plain}`],
    [`add name --valeu=${values.plain}`],
    [`add name --value= ${values.plain}`],
    ["add plain", values.updated],
    ["add plain --json", values.updated],
    ["add", values.updated],
    ["update nothing", values.updated],
    ["update nothing --json", values.updated],
    [`update plain ${values.base64} --json`],
    ["add big", values.lines.repeat(20_000)],
    ["lease nothing"],
    [`lease plain ${values.plain} --json`],
    [`list --timeout ${values.plain}`],
    [`status --json ${values.plain}`]
  ]
  yield* Effect.forEach(
    lines,
    ([line, stdin]) => Effect.map(secrets(line, stdin), ({ status }) => assert.notStrictEqual(status, 0, line)),
    { concurrency: 4, discard: true }
  )
})

const wrongRequests = Effect.fnUntraced(function* (daemon: RunningDaemon, { evidence }: Setup) {
  const value = values.garbage
  for (const line of [
    `${value}`,
    `{"method":"secrets.add","params":{"name":"x","value":"${value}"`,
    `{"method":"secrets.add","params":{"name":5,"value":"${value}"},"id":1}`,
    `{"method":"secrets.add","params":{"name":"x","value":["${value}"]},"id":1}`,
    `{"method":"secrets.add","params":["x","${value}"],"id":1}`,
    `{"method":"secrets.add","params":"${value}","id":1}`,
    `{"method":"secrets.update","params":{"name":"nothing","value":"${value}"},"id":1}`,
    `{"method":"secrets.add","params":{"name":"big","value":"${value.repeat(50_000)}"},"id":1}`,
    `\u0000\u0001${value}\u00ff`,
    `{"method":"secrets.add","params":{"name":"x","value":"${value}${",".repeat(20_000)}`,
    value.repeat(320_000)
  ]) {
    const connection = yield* connect(daemon.socket)
    const reply = yield* Effect.promise(() => connection.ask(line))
    evidence.add(`the answer to ${line.slice(0, 60)}`, reply ?? "")
  }
  const cutOff = yield* connect(daemon.socket)
  cutOff.send(`{"method":"secrets.add","params":{"name":"x","value":"${value}`).socket.end()
  yield* Effect.promise(() => cutOff.line())
})

/** A directory in place of the log rejects writes, also from root. */
const unwritableLog = Effect.fnUntraced(function* (daemon: RunningDaemon, { secrets }: Setup) {
  const log = path.join(daemon.directory, "audit.log")
  fs.renameSync(log, `${log}.1`)
  fs.mkdirSync(log)
  for (const [line, stdin] of [["lease quotes"], ["add more", values.plain], ["update plain", values.plain]] as const) {
    const ended = yield* secrets(line, stdin)
    assert.notStrictEqual(ended.status, 0, line)
    assert.strictEqual(ended.stdout, "")
  }
  fs.rmdirSync(log)
  assert.strictEqual((yield* secrets("lease quotes")).status, 0)
})

const unreadableStore = Effect.fnUntraced(function* (directory: string, { secrets }: Setup) {
  const store = path.join(directory, "secrets.age")
  fs.renameSync(store, `${store}.good`)
  fs.writeFileSync(store, fs.readFileSync(`${store}.good`).subarray(0, -20))
  assert.strictEqual((yield* secrets("serve")).status, 65)
  assert.strictEqual((yield* secrets("serve --json")).status, 65)
  fs.renameSync(`${store}.good`, store)
})

describe("a secret value", () => {
  it.live("appears only in the store and in the reply to its lease, whatever happens and whatever fails", () =>
    Effect.gen(function* () {
      const here = yield* setup
      const { evidence, received, home, secrets } = here
      let daemon = yield* here.start
      yield* ordinaryLife(here)
      yield* wrongLines(here)
      yield* wrongRequests(daemon, here)
      yield* unwritableLog(daemon, here)
      evidence.addProcess(daemon.pid)
      evidence.addFilesBelow(home)

      yield* here.stop(daemon, "SIGKILL")
      evidence.addFilesBelow(home)
      yield* unreadableStore(daemon.directory, here)
      daemon = yield* here.start
      assert.strictEqual((yield* secrets("lease unicode")).stdout, values.unicode)
      yield* secrets("revoke --all --rotate --json")
      // Status 1, because two of the rotation commands fail on purpose.
      assert.strictEqual((yield* secrets("revoke --all --rotate --wipe")).status, 1)
      yield* until(() => fs.readFileSync(received, "utf8").includes("daemon.crash_recovered"))
      assert.strictEqual((yield* here.stop(daemon)).status, 0)
      yield* secrets("lease plain")
      evidence.addFilesBelow(home)
      evidence.add("input of joelclaw and the hooks", fs.readFileSync(received))
      assert.include(fs.readFileSync(received, "utf8"), "SECRET_NAME=failing")
      assert.isAbove(evidence.pieces.length, 100)
      assert.deepStrictEqual(evidence.leaks(), [])
    })
  )
})
