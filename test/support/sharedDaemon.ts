/**
 * One daemon with secrets, shared by all tests of a file.
 */
import { afterAll, beforeAll } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { rpc, type RunningDaemon, startDaemon } from "../harness/daemon.ts"
import { temporaryDirectory } from "./temporary.ts"

/** Trusts the project files of tests, which are in temporary directories. */
export const trustingTemporary = { trusted_projects: [fs.realpathSync(os.tmpdir())] }

/** Returns a function that returns the daemon while tests run. `settings` is its config.json. */
export const sharedDaemon = (
  secrets: Readonly<Record<string, string>>,
  settings: object = {}
): (() => RunningDaemon) => {
  const scope = Effect.runSync(Scope.make())
  let daemon: RunningDaemon | undefined
  beforeAll(() =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      fs.mkdirSync(path.join(home, ".agent-secrets"), { mode: 0o700 })
      fs.writeFileSync(path.join(home, ".agent-secrets", "config.json"), JSON.stringify(settings))
      daemon = yield* startDaemon({ home })
      for (const [name, value] of Object.entries(secrets)) yield* rpc(daemon.socket, "add", { name, value })
    }).pipe(Scope.provide(scope), Effect.runPromise)
  )
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return () => {
    if (daemon === undefined) throw new Error("the daemon is not started yet")
    return daemon
  }
}
