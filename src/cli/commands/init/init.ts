/**
 * secrets init: makes the key and the empty store, without a daemon.
 *
 * `serve` does the same at its first start. Where there is a store already, this
 * looks at it and changes nothing.
 */
import * as Effect from "effect/Effect"
import { defineCommand } from "../../command/Command.ts"
import { loadConfig } from "../../command/settings.ts"

export const initCommand = defineCommand({
  name: "init",
  summary: "Make the key and the empty store",
  arity: [0, 0],
  flags: {},
  examples: ["secrets init"],
  run: Effect.fnUntraced(function* (args) {
    const config = yield* loadConfig(args)
    const { createStore } = yield* Effect.promise(() => import("./createStore.ts"))
    const { origin, count } = yield* createStore(config)
    return {
      text:
        origin === "initialized"
          ? `made an empty store in ${config.directory}\nStart the daemon with: secrets serve\n`
          : `there is a store of ${count} secrets in ${config.directory} already; nothing was changed\n`,
      result: { path: config.directory, store_state: origin }
    }
  })
})
