/**
 * The program in a terminal: prompts that are stopped and continued, programs that ask the
 * terminal, and a daemon that was started by hand.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { rpc } from "../harness/daemon.ts"
import { run, shellWords } from "../harness/program.ts"
import { openTerminal, runInTerminal } from "../harness/terminal.ts"
import { sharedDaemon } from "../harness/sharedDaemon.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { until } from "../support/waiting.ts"

const value = "value of the token"
const daemon = sharedDaemon({ token: value, lines: "one\ntwo\n" })

const opened = (line: string, home: string) =>
  Effect.acquireRelease(
    Effect.sync(() => openTerminal(line, home)),
    ({ close, ended }) => Effect.promise(() => (close(), ended))
  )

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe.concurrent("on a terminal", () => {
  it.live("a line feed follows a value that has none", () =>
    Effect.gen(function* () {
      const shown = (words: string) => Effect.promise(async () => (await runInTerminal(words, daemon().home)).shown)
      assert.strictEqual(yield* shown("lease token"), `${value}\r\n`)
      assert.strictEqual(yield* shown("lease lines"), "one\r\ntwo\r\n")
      assert.strictEqual((yield* run(["lease", "token"], { home: daemon().home })).stdout, value)
    })
  )

  it.live("a prompt ends as the signal says, and names what to do about an empty answer", () =>
    Effect.gen(function* () {
      const ended = Effect.promise(async () => {
        const line = `sh -c 'echo "pid $$"; exec "$@"' sh ${shellWords} add prompted`
        const terminal = openTerminal(line, daemon().home)
        const shown = await terminal.shows("(not shown): ")
        process.kill(Number(/pid (\d+)/.exec(shown)?.[1]), "SIGTERM")
        return await terminal.ended
      })
      assert.strictEqual((yield* ended).status, 143)
      const empty = Effect.promise(async () => {
        const terminal = openTerminal(`${shellWords} add prompted`, daemon().home)
        await terminal.shows("(not shown): ")
        terminal.type("\r")
        return await terminal.ended
      })
      assert.include((yield* empty).shown, "the value of a secret cannot be empty\r\n  Run it again and type the value")
    })
  )

  it.live("a prompt that was stopped by ^Z asks again, shows nothing typed, and takes the value", () =>
    Effect.gen(function* () {
      const terminal = yield* opened("bash --norc -i", daemon().home)
      const question = "Value of 'typed' (not shown): "
      yield* Effect.promise(async () => {
        terminal.type(`${shellWords} add typed\n`)
        await terminal.shows(question)
        terminal.type("half\u001a")
        await terminal.shows("Stopped")
        terminal.type("fg\n")
        await terminal.shows(question, 2)
        terminal.type("made-up value\r")
        await terminal.shows('added "typed"')
        // The terminal echoes again.
        terminal.type("echo seen-again\n")
        await terminal.shows("seen-again", 2)
      })
      terminal.type("exit\n")
      const { shown } = yield* Effect.promise(() => terminal.ended)
      assert.notInclude(shown, "made-up")
      assert.notInclude(shown, "half")
      const { result } = yield* rpc(daemon().socket, "lease", { secret_name: "typed", client_id: "c" })
      assert.strictEqual(result.value, "made-up value")
    })
  )

  it.live("a program of exec can ask on it, although its input and outputs are elsewhere", () =>
    Effect.gen(function* () {
      const script = "': >/dev/tty && echo can ask'"
      const words = `exec --secret token -- sh -c ${script} </dev/null 2>&1 | cat`
      const { shown } = yield* Effect.promise(() => runInTerminal(words, daemon().home))
      assert.strictEqual(shown, "can ask\r\n")
    })
  )
})

describe("a daemon that was started by hand", () => {
  it.live("is not restarted, is stopped on request, and ends with its terminal", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const pidFile = path.join(home, ".agent-secrets/daemon.json")
      const serving = Effect.gen(function* () {
        yield* until(() => fs.existsSync(pidFile))
        return Number(JSON.parse(fs.readFileSync(pidFile, "utf8")).pid)
      })
      const line = `${shellWords} serve; echo "ended $?"; read -r more`
      const first = yield* opened(line, home)
      const pid = yield* serving
      const restarted = yield* run(["daemon", "restart"], { home })
      assert.deepStrictEqual(
        [restarted.status, restarted.stderr.split("\n")[0]],
        [5, `secrets daemon: process ${pid} was started by hand: nothing would start it again`]
      )
      const stopped = yield* run(["daemon", "stop"], { home })
      assert.deepStrictEqual([stopped.status, stopped.stdout], [0, `stopped process ${pid}\n`])
      yield* Effect.promise(() => first.shows("ended 0"))

      const second = yield* opened(line, home)
      const other = yield* serving
      process.kill(other, "SIGHUP")
      yield* Effect.promise(() => second.shows("SIGHUP: reopened the audit log"))
      second.close()
      yield* until(() => !isAlive(other))
      assert.isFalse(fs.existsSync(pidFile))
    })
  )
})
