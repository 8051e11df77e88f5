/**
 * One daemon per directory and per socket: which start is refused, which process the error names,
 * and which start takes over.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { auditOf, rpc, startDaemon } from "../harness/daemon.ts"
import { promptly } from "../harness/prompt.ts"
import { type Ended, run } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { contests, race } from "../torture/owner.ts"

/** Elsewhere the owner comes from the run file, which may be out of date. */
const isLinux = process.platform === "linux"

const serve = (home: string, ...args: ReadonlyArray<string>) => run(["serve", ...args], { home })

/** A separate directory for a second daemon. */
const elsewhere = (home: string) => {
  const config = path.join(home, "elsewhere.json")
  fs.writeFileSync(config, JSON.stringify({ directory: path.join(home, "elsewhere") }))
  return ["--config", config]
}

const isRefused = (ended: Ended, text: string) => {
  assert.strictEqual(ended.status, 75, ended.stderr)
  assert.include(ended.stderr, text)
}

describe.concurrent("a second start", () => {
  it.live("is refused on the same socket from another directory, and names the owner", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { pid, socket } = yield* startDaemon({ home })
      const holder = isLinux ? `process ${pid}` : ""
      const second = serve(home, "--socket", socket, ...elsewhere(home))
      isRefused(yield* second, `another daemon is listening on ${socket}: ${holder}`)
      // If the lock beside the socket was removed, the socket itself identifies the owner.
      fs.rmSync(`${socket}.lock`)
      isRefused(yield* second, `another daemon is listening on ${socket}: ${holder}`)
      assert.strictEqual((yield* rpc(socket, "status")).result.running, true)
    })
  )

  it.live("is refused within three seconds while the owner is frozen, and names it", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { pid, signal, socket } = yield* startDaemon({ home })
      signal("SIGSTOP")
      const tries = Effect.all([serve(home), serve(home, "--socket", socket, ...elsewhere(home))], {
        concurrency: "unbounded"
      })
      const [inDirectory, onSocket] = yield* promptly(3_000, tries)
      isRefused(inDirectory, `process ${pid}, is serving`)
      isRefused(onSocket, `listening on ${socket}: ${isLinux ? `process ${pid}` : ""}`)
      signal("SIGCONT")
      assert.strictEqual((yield* rpc(socket, "status")).result.running, true)
    })
  )

  it.live("names the true owner when the run file names another process", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { directory, pid } = yield* startDaemon({ home })
      const file = path.join(directory, "daemon.json")
      fs.writeFileSync(file, JSON.stringify({ pid: process.pid, started_at: "", socket: "" }))
      isRefused(yield* serve(home), `process ${isLinux ? pid : process.pid}, is serving`)
    })
  )

  it.live("takes over from a killed daemon, also if its pid now belongs to another process", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const first = yield* startDaemon({ home })
      yield* first.stop("SIGKILL")
      const file = path.join(first.directory, "daemon.json")
      const text = fs.readFileSync(file, "utf8").replace(String(first.pid), String(process.pid))
      fs.writeFileSync(file, text)
      // Must not wait for anything that the dead daemon left.
      const second = yield* promptly(3_000, startDaemon({ home }))
      const recovered = auditOf(second.directory).filter(({ action }) => action === "daemon_crash_recovered")
      assert.deepStrictEqual(
        recovered.map(({ details }) => details.split(",")[0]),
        [`process ${process.pid}`]
      )
    })
  )
})

describe("several simultaneous starts", () => {
  for (const contest of contests) {
    it.live(`leave exactly one daemon on one ${contest}, which the others name, also after it was killed`, () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        for (const count of [2, 3]) {
          const { faults } = yield* Effect.promise(() => race(home, contest, count))
          assert.deepStrictEqual(faults, [])
        }
      })
    )
  }
})
