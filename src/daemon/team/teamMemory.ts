/**
 * team.json: how often the team's database is known to have lost entries. A database that was
 * restored from a backup has a smaller number, and the machine notices.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { replaceFile } from "../files/durableFile.ts"
import { readOrSetAside } from "../files/setAside.ts"
import type { TeamMemory } from "./Team.ts"

export const teamMemoryName = "team.json"

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ incarnation: Schema.Int })))

export const openTeamMemory = Effect.fnUntraced(function* (file: string) {
  const { contents } = yield* readOrSetAside(file)
  let known = Option.getOrUndefined(decode(contents?.toString("utf8") ?? ""))?.incarnation
  const memory: TeamMemory = {
    read: () => known,
    write: (incarnation) =>
      Effect.suspend(() => {
        if (incarnation === known) return Effect.void
        known = incarnation
        return Effect.asVoid(replaceFile(file, [Buffer.from(`${JSON.stringify({ incarnation })}\n`, "utf8")]))
      })
  }
  return memory
})
