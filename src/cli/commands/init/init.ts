/**
 * secrets init: creates the key and an empty store, without a daemon.
 *
 * `serve` does the same at its first start. An existing store is read and left
 * unchanged.
 */
import * as Effect from "effect/Effect"
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { StoreLocked } from "../../../domain/Secret.ts"
import { defineCommand } from "../../command/Command.ts"
import { CommandError } from "../../command/CommandError.ts"
import { refusalProblem } from "../../command/problems.ts"
import { checkOwner, loadConfig } from "../../command/settings.ts"

export const initCommand = defineCommand({
  name: "init",
  summary: "Create the key and an empty store",
  arity: [0, 0],
  flags: {},
  examples: ["secrets init"],
  run: Effect.fnUntraced(function* (args) {
    const config = yield* loadConfig(args)
    yield* checkOwner(config.directory, "secrets init")
    const { createStore } = yield* Effect.promise(() => import("./createStore.ts"))
    const { origin, count } = yield* createStore(config)
    if (origin === "locked") {
      return yield* new CommandError(refusalProblem({ tag: "StoreLocked", message: new StoreLocked().message }))
    }
    return {
      lines:
        origin === "initialized"
          ? [`created an empty store in ${escapeValue(config.directory)}`, "Start the daemon with: secrets serve"]
          : [
              `${escapeValue(config.directory)} already has a store with ${counted(count, "secret")}; nothing was changed`
            ],
      result: { path: config.directory, store_state: origin }
    }
  })
})
