/**
 * Core files of commands that hold values: none of their memory is in one, and the program that
 * `exec` runs has its own setting.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { isScript, type Started, start } from "../harness/program.ts"
import { hasProc } from "../support/inside.ts"
import { formsIn } from "../support/leaks.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { until } from "../support/waiting.ts"

const value = "a made-up value that is in no other file"

/** A daemon that leases `value` to `exec` and `env`, and leaves every other reply unfinished. */
const serveAt = (socketPath: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const requested = Promise.withResolvers<string>()
      const server = net.createServer((socket) => {
        socket.on("error", () => undefined)
        socket.on("data", (line) => {
          const { id, params } = JSON.parse(line.toString("utf8"))
          const result = { lease_id: "l", value, expires_at: "2999-01-01T00:00:00Z", success: true }
          const reply = JSON.stringify({ jsonrpc: "2.0", id, result })
          socket.write(params.client_id === "answered" ? `${reply}\n` : reply)
          requested.resolve(params.secret_name ?? params.name ?? "")
        })
      })
      await new Promise<void>((resolve) => server.listen(socketPath, resolve))
      return { server, requested: requested.promise }
    }),
    ({ server }) => Effect.sync(() => server.close())
  )

const filterOf = (pid: number | undefined): string => fs.readFileSync(`/proc/${pid}/coredump_filter`, "utf8").trim()

/** Whether the system writes core files beside the process that ended. */
const writesCores = hasProc && fs.readFileSync("/proc/sys/kernel/core_pattern", "utf8").startsWith("core")

const isWithoutValue = (directory: string): void => {
  for (const name of fs.readdirSync(directory).filter((one) => one.startsWith("core"))) {
    const core = fs.readFileSync(path.join(directory, name))
    assert.deepStrictEqual([formsIn(core, value), core.length < 1_000_000], [[], true], `${name}: ${core.length} bytes`)
  }
}

const crash = Effect.fnUntraced(function* (directory: string, { child }: Started) {
  assert.match(filterOf(child.pid), /^0+$/)
  const exited = once(child, "exit")
  child.kill("SIGSEGV")
  assert.deepStrictEqual(yield* Effect.promise(() => exited), [null, "SIGSEGV"])
  isWithoutValue(directory)
})

const unlimited = (directory: string) => `cd '${directory}' && ulimit -c unlimited 2>/dev/null; exec "$@"`

describe.runIf(hasProc).concurrent("the core file of a command has none of its memory:", () => {
  for (const [args, stdin] of [
    [["lease", "db"]],
    [["add", "db"], value],
    [["update", "db"], value],
    [["rotate", "db"]],
    [["scan", "--staged"]],
    [["env", "--secret", "db=DB"]],
    [["exec", "--secret", "db=DB", "--", "true"]]
  ] as const) {
    it.live(args.slice(0, 2).join(" "), () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        const socket = path.join(home, "socket")
        const { requested } = yield* serveAt(socket)
        const [command, ...rest] = args
        const line = [command, "--socket", socket, ...rest]
        const started = start(line, { home, through: unlimited(home), ...(stdin === undefined ? {} : { stdin }) })
        yield* Effect.promise(() => Promise.race([requested, started.ended]))
        yield* crash(home, started)
      })
    )
  }

  it.live("exec, while its program runs, which has its own setting and a core file of its own", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const [socket, told] = [path.join(home, "socket"), path.join(home, "told")]
      yield* serveAt(socket)
      const program = [
        `until read filter < /proc/$$/coredump_filter && [ "$filter" = 00000021 ]; do :; done`,
        `mkdir program; cd program; sh -c 'kill -SEGV $$'; { echo $$; ulimit -c; } > '${told}~'; mv '${told}~' '${told}'`,
        "exec sleep 100"
      ]
      const exec = ["exec", "--socket", socket, "--client-id", "answered", "--secret", "db=DB", "--"]
      const started = start([...exec, "sh", "-c", program.join("; ")], {
        home,
        through: `echo 0x21 > /proc/self/coredump_filter; ${unlimited(home)}`
      })
      yield* until(() => fs.existsSync(told))
      const [pid, limit] = fs.readFileSync(told, "utf8").split("\n")
      assert.notStrictEqual(limit, "0")
      if (writesCores) assert.match(fs.readdirSync(path.join(home, "program")).join(), /^core/)
      // The program leads a process group of its own, and outlives us.
      yield* Effect.ensuring(
        crash(home, started),
        Effect.sync(() => process.kill(Number(pid), "SIGKILL"))
      )
    })
  )
})

describe.runIf(isScript && hasProc)("the launcher of a checkout", () => {
  const launcher = path.resolve(import.meta.dirname, "../../bin/secrets")

  it.live("lets no core file be written, except by the program of exec", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const socket = path.join(home, "socket")
      const { requested } = yield* serveAt(socket)
      const through = `shift 2; PATH='${path.dirname(process.execPath)}':$PATH; ulimit -c unlimited 2>/dev/null; exec '${launcher}' "$@"`
      const started = start(["lease", "db", "--socket", socket], { home, through })
      yield* Effect.promise(() => requested)
      assert.match(fs.readFileSync(`/proc/${started.child.pid}/limits`, "utf8"), /^Max core file size +0 /m)
      started.child.kill("SIGKILL")
      const exec = [
        "exec",
        "--socket",
        socket,
        "--client-id",
        "answered",
        "--secret",
        "db=DB",
        "--",
        "sh",
        "-c",
        "ulimit -c"
      ]
      assert.notStrictEqual((yield* Effect.promise(() => start(exec, { home, through }).ended)).stdout, "0\n")
    })
  )
})
