/**
 * secrets init: makes the key and the empty store, without a daemon.
 *
 * `serve` does the same at its first start. Where there is a store already, this
 * looks at it and changes nothing.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../daemon/AuditLog.ts"
import { holdDirectory } from "../daemon/Instance.ts"
import { makeDirectory } from "../daemon/makeDirectory.ts"
import { SecretStore } from "../daemon/SecretStore.ts"
import { instancePaths } from "../daemon/Daemon.ts"
import { define } from "./Command.ts"
import { loadConfig } from "./settings.ts"
import { startFailure } from "./startFailure.ts"

export const init = define({
  name: "init",
  summary: "Make the key and the empty store",
  arity: [0, 0],
  flags: {},
  examples: ["secrets init"],
  run: Effect.fnUntraced(function* (line) {
    const config = yield* loadConfig(line)
    yield* Effect.sync(() => process.umask(0o077))
    const store = SecretStore.layer({ identity: config.identityPath, secrets: config.secretsPath }).pipe(
      Layer.provide(AuditLog.layer(config.auditPath)),
      Layer.provide(
        Layer.effectDiscard(Effect.andThen(makeDirectory(config.directory), holdDirectory(instancePaths(config))))
      )
    )
    const { origin, count } = yield* Effect.gen(function* () {
      const secrets = yield* SecretStore
      return { origin: secrets.origin, count: yield* secrets.count }
    }).pipe(Effect.provide(store), Effect.mapError(startFailure))
    return {
      text:
        origin === "initialized"
          ? `made an empty store in ${config.directory}\nStart the daemon with: secrets serve\n`
          : `there is a store of ${count} secrets in ${config.directory} already; nothing was changed\n`,
      result: { path: config.directory, store_state: origin }
    }
  })
})
