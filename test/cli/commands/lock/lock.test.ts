/**
 * `secrets lock` where the daemon does not reply: the outcome is unknown, and there is a way to be certain.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { lockCommand } from "../../../../src/cli/commands/lock/lock.ts"
import { holdLock } from "../../../../src/daemon/files/fileLock.ts"
import { silentDaemon } from "../../../support/silentDaemon.ts"

describe.runIf(process.platform === "linux")("a lock", () => {
  it.live("that a daemon does not confirm may come yet, and is certain after its end", () =>
    Effect.gen(function* () {
      const { directory, config } = yield* silentDaemon
      yield* holdLock(path.join(directory, "daemon.lock"))
      const parsed = lockCommand.parse(["--config", config, "--timeout", "0.05"])
      if (parsed.kind !== "run") return assert.fail(parsed.kind)
      const failed = yield* Effect.flip(parsed.run())
      assert.deepInclude(failed, {
        message: "the daemon did not reply within 0.05 s",
        why: "it may lock the store later, or not",
        fix: `To lock it for certain: kill -9 ${process.pid}, then secrets lock`,
        exitStatus: 6
      })
    })
  )
})
