/**
 * The list of machines as this one has verified and pinned it. It follows the database only to a longer list that is
 * signed; a shorter or another one is for a person, unless the database is an older one that gets it back.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { TeamAway } from "../../domain/Team.ts"
import { addedMachine, extendMembers, noMembers, roleOf, SignedStatement, viewOf } from "./members.ts"
import type { TeamMemory } from "./teamMemory.ts"
import type { TeamCall } from "./TeamWire.ts"

interface PinOptions {
  readonly name: string
  readonly memory: TeamMemory
  /** Calls a function of the database. */
  readonly ask: <A>(call: TeamCall, input: object, schema: Schema.Codec<A, unknown>) => Effect.Effect<A, TeamAway>
  /** Stops the work of this machine. */
  readonly stop: (reason: string) => Effect.Effect<never, TeamAway>
}

export const pinMembers = Effect.fnUntraced(function* ({ ask, memory, name, stop }: PinOptions) {
  const pinned = extendMembers(noMembers, memory.read().members ?? [])
  let list = Result.getOrElse(pinned, () => noMembers)
  /** Gets an element whenever there may be something to seal. */
  const changes = yield* Queue.sliding<void>(1)

  const declare = (signed: SignedStatement) => {
    const added = addedMachine(signed)
    const role = added === undefined ? {} : { role: roleOf(added) }
    return Effect.asVoid(ask("member_1", { ...signed, ...role }, Schema.Unknown))
  }

  /** Follows the database, which has so many statements. */
  const follow = Effect.fnUntraced(function* (count: number) {
    const { length } = list.statements
    if (count === length) return
    if (count < length && memory.read().restoring === true && viewOf(list).members.get(name)?.isAdmin === true) {
      return yield* Effect.forEach(list.statements.slice(count), declare, { discard: true })
    }
    if (length === 0) return yield* stop("team.json does not have the list of machines: join the team again")
    if (count < length) return yield* stop("its list of machines is shorter than the one in team.json")
    const added = yield* ask("read_1", { what: "members", after: length }, Schema.Array(SignedStatement))
    const extended = extendMembers(list, added)
    if (Result.isFailure(extended)) return yield* stop(`its list of machines is not valid: ${extended.failure}`)
    yield* Effect.mapError(
      memory.write({ members: extended.success.statements }),
      ({ message }) => new TeamAway({ reason: message })
    )
    list = extended.success
    Queue.offerUnsafe(changes, undefined)
  })

  return {
    list: () => list,
    /** What is wrong with the list in team.json; undefined if nothing is. */
    problem: Option.getOrUndefined(Result.getFailure(pinned)),
    declare,
    follow,
    wake: () => void Queue.offerUnsafe(changes, undefined),
    next: Queue.take(changes)
  }
})
