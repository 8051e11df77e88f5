/**
 * What a check of `secrets doctor` starts from: a new store, in a home directory whose name must not be
 * reported.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Finding } from "../../src/cli/commands/doctor/Check.ts"
import type { Examined } from "../../src/cli/commands/doctor/examine.ts"
import { decodeConfig, unknownKeys } from "../../src/domain/Config.ts"
import { DaemonUnavailable } from "../../src/rpc/client/client.ts"
import { openSession } from "./storeSetup.ts"
import { temporaryDirectory } from "./temporary.ts"

export const doctorSetup = Effect.gen(function* () {
  const home = path.join(yield* temporaryDirectory, "jane-doe")
  const directory = path.join(home, ".agent-secrets")
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
  yield* openSession(directory, Effect.void)
  const examined = (settings: object = {}, environment: Examined["environment"] = {}): Examined => {
    const { config } = Result.getOrThrow(decodeConfig(JSON.stringify(settings), home))
    const { socketPath } = config
    return {
      args: { option: () => undefined },
      environment,
      config,
      settingsProblem: undefined,
      unknownKeys: unknownKeys(settings),
      socketPath,
      daemon: Result.fail(new DaemonUnavailable({ socketPath, code: "ENOENT" }))
    }
  }
  return { home, directory, examined, file: (name: string) => path.join(directory, name) }
})

/** Runs the check and returns its verdicts; they must name nothing that the report prints. */
export const found = (
  check: (examined: Examined) => Effect.Effect<ReadonlyArray<Finding>>,
  examined: Examined
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(check(examined), (findings) =>
    findings.map(({ verdict, what }) => {
      assert.notInclude(what, "jane")
      return `${verdict}: ${what}`
    })
  )
