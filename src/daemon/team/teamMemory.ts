/**
 * team.json: what a machine must not forget of its team, because the database could then show it something older.
 *
 * It pins the signed list of machines, and remembers the newest version of each secret and how often the database is
 * known to have lost entries.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { FileError, replaceFile } from "../files/durableFile.ts"
import { readOrSetAside, setFileAside } from "../files/setAside.ts"
import { SignedStatement } from "./members.ts"

export const teamMemoryName = "team.json"

/** The newest version of a secret that this machine has seen. */
const Seen = Schema.Struct({
  version: Schema.Int,
  /** The number of statements that its writer knew. */
  list: Schema.Int,
  isDeleted: Schema.Boolean
})
export type Seen = typeof Seen.Type

const Remembered = Schema.Struct({
  incarnation: Schema.optionalKey(Schema.Int),
  /** Whether the database is older than what is remembered here, so that this machine puts values back. */
  restoring: Schema.optionalKey(Schema.Boolean),
  members: Schema.optionalKey(Schema.Array(SignedStatement)),
  seen: Schema.optionalKey(Schema.Record(Schema.String, Seen))
})
export type Remembered = typeof Remembered.Type
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Remembered))

export interface TeamMemory {
  readonly read: () => Remembered
  /** Changes some of it; it is on disk before this returns. */
  readonly write: (changes: Remembered) => Effect.Effect<void, FileError>
}

export const openTeamMemory = Effect.fnUntraced(function* (file: string) {
  const { contents } = yield* readOrSetAside(file)
  const decoded = contents === undefined ? Option.some({}) : decode(contents.toString("utf8"))
  // Kept, because the next write would replace the list that it may still have.
  if (Option.isNone(decoded)) {
    yield* setFileAside(file, new FileError({ operation: "read", path: file, cause: new Error("it is damaged") }))
  }
  let known: Remembered = Option.getOrElse(decoded, () => ({}))
  const oneWrite = Semaphore.withPermit(yield* Semaphore.make(1))
  const write = Effect.fnUntraced(function* (changes: Remembered) {
    const next = { ...known, ...changes }
    yield* replaceFile(file, [Buffer.from(`${JSON.stringify(next)}\n`, "utf8")])
    known = next
  }, oneWrite)
  const memory: TeamMemory = { read: () => known, write }
  return memory
})
