/**
 * One daemon for all tests of a file. A start costs far more than a request, so a test starts
 * its own daemon only to stop, signal or configure it.
 *
 * Tests on a `sharedDaemon` may run side by side, each with secrets and clients of its own names.
 * Tests on an `emptiedDaemon` run one after the other, each without the secrets and leases of others.
 */
import { afterAll, beforeAll } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { temporaryDirectory } from "../support/temporary.ts"
import { auditOf, rpc, type RunningDaemon, startDaemon } from "./daemon.ts"
import { type Ended, run } from "./program.ts"

/** Trusts the project files of tests, which are in temporary directories. */
export const trustingTemporary = { trusted_projects: [fs.realpathSync(os.tmpdir())] }

export interface SharedDaemon extends RunningDaemon {
  /** Runs a command of its user. */
  readonly secrets: (args: ReadonlyArray<string>, stdin?: string | Uint8Array) => Effect.Effect<Ended>
  /** Sends a request, and returns the reply. */
  readonly call: (method: string, params?: object) => Effect.Effect<any>
}

/** Returns a function that returns the daemon while tests run. `settings` is its config.json. */
export const sharedDaemon = (
  secrets: Readonly<Record<string, string>> = {},
  settings: object = {}
): (() => SharedDaemon) => {
  const scope = Effect.runSync(Scope.make())
  let shared: SharedDaemon | undefined
  beforeAll(() =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      fs.mkdirSync(path.join(home, ".agent-secrets"), { mode: 0o700 })
      fs.writeFileSync(path.join(home, ".agent-secrets", "config.json"), JSON.stringify(settings))
      const daemon = yield* startDaemon({ home })
      shared = {
        ...daemon,
        secrets: (args, stdin) => run(args, { home, ...(stdin === undefined ? {} : { stdin }) }),
        call: (method, params) => rpc(daemon.socket, method, params)
      }
      for (const [name, value] of Object.entries(secrets)) yield* shared.call("add", { name, value })
    }).pipe(Scope.provide(scope), Effect.runPromise)
  )
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return () => {
    if (shared === undefined) throw new Error("the daemon is not started yet")
    return shared
  }
}

export interface EmptiedDaemon extends SharedDaemon {
  /** The audit entries since it was emptied, oldest first. */
  readonly audit: () => ReadonlyArray<Record<string, any>>
}

/** Returns an effect for the begin of each test: deletes all secrets and leases, and returns the daemon. */
export const emptiedDaemon = (settings: object = {}): Effect.Effect<EmptiedDaemon> => {
  const shared = sharedDaemon({}, settings)
  return Effect.gen(function* () {
    const daemon = shared()
    const { error } = yield* daemon.call("killswitch", { wipe_store: true })
    if (error !== undefined) throw new Error(`the daemon was not emptied: ${error.message}`)
    const before = auditOf(daemon.directory).length
    return { ...daemon, audit: () => auditOf(daemon.directory).slice(before) }
  })
}
