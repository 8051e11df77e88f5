/**
 * Starts stay within twice their budgets, beside an empty Node in the same rounds. The
 * margin is for busy machines; `npm run bench -- start` measures.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { promisify } from "node:util"
import { nodeOptions } from "../../src/service/ServiceOptions.ts"
import { openMcp } from "../harness/mcpClient.ts"
import { becomesReady, launch, rpc, startDaemon } from "../harness/daemon.ts"
import { isScript, run, start } from "../harness/program.ts"
import { median } from "../harness/quantile.ts"
import { binaryBudget, scriptBudget } from "../harness/startBudget.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const rounds = 3
const margin = 2
const budget = isScript ? scriptBudget : binaryBudget

const millisOf = async (run: () => Promise<unknown>): Promise<number> => {
  const from = performance.now()
  await run()
  return performance.now() - from
}

it.live(
  "a lease, a helper, an exec, a daemon and a server for agents start within twice their budgets",
  () =>
    Effect.gen(function* () {
      const [home, other] = [yield* temporaryDirectory, yield* temporaryDirectory]
      const { socket } = yield* startDaemon({ home })
      yield* rpc(socket, "add", { name: "db", value: "x" })
      fs.writeFileSync(path.join(home, ".secrets.json"), JSON.stringify({ secrets: [{ name: "db", env_var: "DB" }] }))
      const secrets = async (...args: ReadonlyArray<string>) => {
        const { status, stderr } = await start(args, { home, through: `cd '${home}' && exec "$@"` }).ended
        assert.deepStrictEqual([status, stderr], [0, ""], args.join(" "))
      }
      const allowed = yield* run(["allow", home], { home })
      assert.strictEqual(allowed.status, 0, allowed.stderr)
      const ready = async () => {
        const daemon = launch({ home: other, nodeOptions })
        const millis = await millisOf(async () => assert.isTrue(await becomesReady(daemon), daemon.stderr()))
        await daemon.end("SIGTERM")
        return millis
      }
      const answered = async (home: string) => {
        const { child, ended } = await openMcp({ home })
        child.stdin?.end()
        void ended
      }
      /** Of each round, the times of an empty Node. */
      const round = async () => {
        const floor = await millisOf(() => promisify(execFile)(process.execPath, ["-e", "0"]))
        return {
          lease: (await millisOf(() => secrets("lease", "db"))) / floor,
          print: (await millisOf(() => secrets("helper", "print", "db"))) / floor,
          exec: (await millisOf(() => secrets("exec", "--", "true"))) / floor,
          ready: (await ready()) / floor,
          mcp: (await millisOf(() => answered(home))) / floor
        }
      }
      // The first round reads files from the disk, and its daemon makes its key.
      yield* Effect.promise(round)
      const times = yield* Effect.promise(async () => {
        const all: Array<Awaited<ReturnType<typeof round>>> = []
        for (let n = 0; n < rounds; n += 1) all.push(await round())
        return all
      })
      for (const what of ["lease", "print", "exec", "ready", "mcp"] as const) {
        assert.isBelow(median(times.map((one) => one[what])), margin * budget[what], what)
      }
    }),
  120_000
)
