/**
 * secrets unlock: asks a person, and opens the store again.
 *
 * It has no flag that answers for the person. The daemon takes the request on its owner's
 * socket alone; it cannot see the terminal, so this keeps scripts out and no attacker.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { call } from "../../../rpc/client/client.ts"
import { literal, optional } from "../../../domain/shape.ts"
import { defineCommand } from "../../command/Command.ts"
import { failDeclined, failUsage, fromClient } from "../../command/CommandError.ts"
import { loadDaemon } from "../../command/settings.ts"
import { confirm } from "../../terminal/askOnTerminal.ts"
import { isInteractive } from "../../terminal/isInteractive.ts"
import { shownTime } from "../../terminal/times.ts"
import { counted } from "../../../domain/counted.ts"

const statusExample = { locked_since: optional(""), active_leases: 0 }
const unlockedExample = { locked: literal(false), secrets_count: 0 }

export const unlockCommand = defineCommand({
  name: "unlock",
  summary: "Open a locked store again; asks on a terminal",
  arity: [0, 0],
  flags: {},
  examples: ["secrets unlock"],
  about: "The daemon reads the key and the store from the disk again. Only its owner's socket takes this.",
  run: Effect.fnUntraced(function* (args) {
    if (!isInteractive()) {
      return yield* failUsage(
        "unlock asks a person: standard input and standard error must be a terminal",
        "Run it in a terminal"
      )
    }
    const daemon = yield* loadDaemon(args)
    const ask = Effect.mapError(call(daemon, "secrets.status", {}, statusExample), fromClient)
    const { active_leases: active, locked_since: since } = yield* ask
    if (since === undefined) return { lines: ["the store is not locked"], result: { locked: false } }
    const at = shownTime(since, yield* Clock.currentTimeMillis, true)
    const isSure = yield* confirm(`The store is locked since ${at}, active leases: ${active}. Unlock it?`)
    if (!isSure) return yield* failDeclined("the store is still locked", "Answer y to go on")
    const unlocked = yield* Effect.mapError(call(daemon, "secrets.unlock", {}, unlockedExample), fromClient)
    return { lines: [`unlocked: ${counted(unlocked.secrets_count, "secret")} can be leased again`], result: unlocked }
  })
})
