/**
 * A start loads no more code than its budget, which holds on any machine. `npm run bench -- start` measures the time.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { rpc, startDaemon } from "../harness/daemon.ts"
import { installProgram, invocation, isScript, run } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"

/** KiB of code that a start loads at most; the growth of a program is a reason to raise it, a new library is none. */
const budget = { lease: 40, print: 60, exec: 260, service: 400, serve: 800, mcp: 650 }

/** The first file of the program: writes down the size of each file that is loaded. */
const counting = (sizes: string) => `
import { appendFileSync, statSync } from "node:fs"
import { registerHooks } from "node:module"
import { fileURLToPath } from "node:url"
registerHooks({
  load(url, context, next) {
    if (url.startsWith("file:")) appendFileSync("${sizes}", statSync(fileURLToPath(url)).size + "\\n")
    return next(url, context)
  }
})
await import("./first.mjs")
`

it.live.runIf(isScript)(
  "a lease, a helper, an exec, the status of a service, a daemon and a server for agents load no more than their budgets",
  () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const sizes = path.join(home, "sizes")
      const installed = fs.realpathSync(installProgram(home))
      fs.renameSync(installed, path.join(path.dirname(installed), "first.mjs"))
      fs.writeFileSync(installed, counting(sizes))
      const options = {
        home,
        through: `cd '${home}'; node=$1; shift ${invocation.length}; exec "$node" '${installed}' "$@"`
      }
      /** The KiB that were loaded since it was called last. */
      const loaded = () => {
        const total = fs.readFileSync(sizes, "utf8").trim().split("\n").map(Number)
        fs.rmSync(sizes)
        return total.reduce((sum, size) => sum + size, 0) / 1024
      }
      const { socket } = yield* startDaemon(options)
      const serve = loaded()
      yield* rpc(socket, "add", { name: "db", value: "x" })
      const sizeOf = Effect.fnUntraced(function* (args: ReadonlyArray<string>, stdin = "") {
        const { status, stderr } = yield* run(args, { ...options, stdin })
        assert.deepStrictEqual([status, stderr], [0, ""], args.join(" "))
        return loaded()
      })
      const initialize = {
        jsonrpc: "2.0",
        id: 1,
        method: "initialize",
        params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } }
      }
      const found = {
        lease: yield* sizeOf(["lease", "db"]),
        print: yield* sizeOf(["helper", "print", "db"]),
        exec: yield* sizeOf(["exec", "--secret", "db=DB", "--", "true"]),
        service: yield* sizeOf(["daemon", "status"]),
        serve,
        mcp: yield* sizeOf(["mcp"], `${JSON.stringify(initialize)}\n`)
      }
      for (const what of ["lease", "print", "exec", "service", "serve", "mcp"] as const) {
        assert.isAbove(found[what], budget[what] / 2, what)
        assert.isBelow(found[what], budget[what], what)
      }
    })
)
