/**
 * One daemon with secrets, shared by all tests of a file.
 */
import { afterAll, beforeAll } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { rpc, type RunningDaemon, startDaemon } from "../harness/daemon.ts"
import { temporaryDirectory } from "./temporary.ts"

/** Returns a function that returns the daemon while tests run. */
export const sharedDaemon = (secrets: Readonly<Record<string, string>>): (() => RunningDaemon) => {
  const scope = Effect.runSync(Scope.make())
  let daemon: RunningDaemon | undefined
  beforeAll(() =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
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
