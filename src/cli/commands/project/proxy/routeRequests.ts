/**
 * Which routes of config.json a program uses: those of --proxy, or of a project file, which can
 * narrow them and add nothing.
 */
import * as Effect from "effect/Effect"
import type { RouteRequest } from "../../../../domain/RouteRequest.ts"
import { type CommandError, failUsage } from "../../../command/CommandError.ts"

/** Reads the values of --proxy: names with commas between them. */
export const readRoutes = (given: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<RouteRequest>, CommandError> => {
  const names = given.flatMap((text) => text.split(",")).map((name) => name.trim())
  return names.includes("")
    ? Effect.fail(failUsage("--proxy names no route", "For example: --proxy github,openai"))
    : Effect.succeed([...new Set(names)].map((name) => ({ name })))
}
