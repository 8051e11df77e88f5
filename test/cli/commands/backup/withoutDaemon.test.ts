/**
 * A command that writes the audit log without a daemon looks at the files beside it, as a start
 * does: it records that the store was rolled back, so a later verification still reports it.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import { withoutDaemon } from "../../../../src/cli/commands/backup/withoutDaemon.ts"
import { createStore } from "../../../../src/cli/commands/init/createStore.ts"
import { lockWithoutDaemon } from "../../../../src/cli/commands/lock/lockWithoutDaemon.ts"
import { backupStore, restoreStore } from "../../../../src/daemon/operations/backup.ts"
import { encodeStore, emptyStore } from "../../../../src/daemon/secrets/storeDocument.ts"
import { type Config, decodeConfig } from "../../../../src/domain/Config.ts"
import { add, session, verified } from "../../../support/auditDirectory.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

// Each command sets the umask of its process, which is that of other test files here.
const umask = process.umask()
afterAll(() => void process.umask(umask))

const where = { command: "secrets", create: false }
const merging = { overwrite: false, keepNewer: false, dryRun: false }
const commands: Record<string, (config: Config) => Effect.Effect<unknown, unknown>> = {
  backup: (config) => withoutDaemon(config, where, backupStore),
  restore: (config) => withoutDaemon(config, where, restoreStore(encodeStore(emptyStore), merging)),
  lock: lockWithoutDaemon,
  init: createStore
}

describe("without a daemon", () => {
  it.effect.each(Object.entries(commands))("%s records that the store was rolled back", ([, run]) =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const directory = path.join(home, ".agent-secrets")
      const secrets = path.join(directory, "secrets.age")
      fs.mkdirSync(directory, { mode: 0o700 })
      yield* session(directory, add("db"))
      const older = fs.readFileSync(secrets)
      yield* session(directory, add("mail"))
      fs.writeFileSync(secrets, older)
      yield* run(Result.getOrThrow(decodeConfig("{}", home)).config)
      assert.match(fs.readFileSync(path.join(directory, "audit.log"), "utf8"), /"audit_finding".*rolled back/)
      assert.include(yield* verified(directory), "store")
    })
  )
})
