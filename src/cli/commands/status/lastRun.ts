/**
 * How the last run of the daemon ended, as it wrote it down for somebody who finds
 * none.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { decodeRunHistory, lastRunInWords, runsFileName } from "../../../domain/runHistory.ts"
import type { GlobalArgs } from "../../command/daemonAddress.ts"
import { loadConfig } from "../../command/settings.ts"

/** In words; undefined if nothing is known. */
export const describeLastRun = (args: GlobalArgs): Effect.Effect<string | undefined> =>
  Effect.gen(function* () {
    const { directory } = yield* loadConfig(args)
    const text = yield* Effect.tryPromise(() => fs.readFile(path.join(directory, runsFileName), "utf8"))
    return Option.getOrUndefined(Option.map(decodeRunHistory(text), lastRunInWords))
  }).pipe(Effect.orElseSucceed(() => undefined))
