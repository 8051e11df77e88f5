/**
 * The five calls that a machine makes to the database of its team, each one statement.
 *
 * A statement is never interrupted: past its time the connection is dropped, because a late
 * cancellation could meet the next statement. Two connections: changes wait for no list.
 */
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { type SqlError } from "effect/sql/SqlError"
import { startupParameters } from "./connect.ts"
import { functionsQuestion, newerFunctions, type teamFunctions } from "./schema.ts"

/** A call failed. */
export class WireError extends Data.TaggedError("WireError")<{
  readonly reason: string
  /** The SQLSTATE if the server answered; undefined if it did not, so that the call may have had an effect. */
  readonly code: string | undefined
}> {
  override get message() {
    return this.reason
  }
}

export type TeamCall = (typeof teamFunctions)[number]

export interface TeamWire {
  readonly call: (name: TeamCall, input: object) => Effect.Effect<unknown, WireError>
  /** The same on a connection of its own, with more time than the settings give to an answer. */
  readonly callWithin: (limit: Duration.Duration, name: TeamCall, input: object) => Effect.Effect<unknown, WireError>
  /** The same on a connection of its own, which waits for no other one. */
  readonly probe: (name: TeamCall, input: object) => Effect.Effect<unknown, WireError>
  /** Drops the connections; the next call opens them again. */
  readonly drop: Effect.Effect<void>
}

/** The calls that change something, or whose answers changes are made from. */
const writers: ReadonlySet<TeamCall> = new Set(["enter_1", "look_1", "put_1"])

export const makeTeamWire = Effect.fnUntraced(function* (options: PgConnection.Config, timeout: Duration.Duration) {
  const [writer, reader] = [yield* makeSession(options, timeout), yield* makeSession(options, timeout)]
  const ask = (session: typeof writer, name: TeamCall, input: object) =>
    session.ask(`select team.${name}($1) as answer`, input)
  const askOnce = (given: typeof options, limit: Duration.Duration, name: TeamCall, input: object) =>
    Effect.scoped(Effect.flatMap(makeSession(given, limit), (session) => ask(session, name, input)))
  const wire: TeamWire = {
    call: (name, input) => ask(writers.has(name) ? writer : reader, name, input),
    callWithin: (limit, name, input) =>
      askOnce({ ...options, startupParameters: startupParameters(limit) }, limit, name, input),
    probe: (name, input) => askOnce(options, timeout, name, input),
    drop: Effect.andThen(writer.drop, reader.drop)
  }
  return wire
})

/** A statement, and until when it may wait. */
interface Waiting {
  readonly until: number
  isLate: boolean
}

/** Reads the monotonic clock, in milliseconds. */
export const monotonicMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)

/** Makes a connection that is opened by its first use and after each failure. */
const makeSession = Effect.fnUntraced(function* (options: PgConnection.Config, timeout: Duration.Duration) {
  const scope = yield* Effect.scope
  const clock = yield* Clock.Clock
  const timeoutMillis = Duration.toMillis(timeout)
  let open: { readonly connection: PgConnection.PgConnection; readonly scope: Scope.Closeable } | undefined
  const drop = Effect.suspend(() => {
    const dropped = open
    open = undefined
    // A server that does not answer would hold up its own farewell.
    return dropped === undefined ? Effect.void : Effect.asVoid(Effect.forkDetach(Scope.close(dropped.scope, Exit.void)))
  })
  yield* Effect.addFinalizer(() => drop)

  const connect = Effect.gen(function* () {
    if (open !== undefined) return open.connection
    const scope = yield* Scope.make()
    const connection = yield* Scope.provide(PgConnection.make(options), scope).pipe(
      Effect.onError(() => Scope.close(scope, Exit.void))
    )
    // Another call may have been first.
    if (open === undefined) open = { connection, scope }
    else yield* Scope.close(scope, Exit.void)
    return open.connection
  })

  /** On a fiber of its own, because a driver that may not be interrupted would not give up an address that does not answer. */
  const opening = Effect.flatMap(Effect.forkDetach(connect, { startImmediately: true }), Fiber.join)

  const answerTo = Effect.fnUntraced(function* (sql: string, input: object, own: Waiting) {
    const connection = open?.connection ?? (yield* Effect.mapError(opening, wireError))
    if (own.isLate) return undefined
    const { rows } = yield* Effect.mapError(connection.query(sql, [JSON.stringify(input)]), wireError).pipe(
      Effect.catchIf(({ code }) => code !== undefined && missing.has(code), explainMissing(connection))
    )
    return rows[0]?.["answer"]
  })

  const late = new WireError({ reason: `no answer within ${Duration.toSeconds(timeout)} s`, code: undefined })
  /** The statements without an answer, oldest first. */
  const waiting = new Set<Waiting>()
  let isWatched = false

  /** Drops the connection, and with it all statements, when one has waited too long. One timer serves all that follow each other. */
  const watch = Effect.gen(function* () {
    for (let [oldest] = waiting; oldest !== undefined; [oldest] = waiting) {
      const left = oldest.until - monotonicMillis(clock)
      if (left > 0) yield* Effect.sleep(Duration.millis(left))
      else {
        oldest.isLate = true
        waiting.delete(oldest)
        yield* drop
      }
    }
  }).pipe(Effect.ensuring(Effect.sync(() => void (isWatched = false))))

  const ask = Effect.fnUntraced(function* (sql: string, input: object) {
    const own: Waiting = {
      until: monotonicMillis(clock) + timeoutMillis,
      isLate: false
    }
    waiting.add(own)
    if (!isWatched) {
      isWatched = true
      yield* Effect.forkIn(watch, scope)
    }
    const exit = yield* Effect.exit(answerTo(sql, input, own))
    waiting.delete(own)
    if (own.isLate) return yield* late
    const answer = yield* exit.pipe(
      Effect.tapError(({ code }) => (code === undefined || code.startsWith("57") ? drop : Effect.void))
    )
    return typeof answer === "string" ? (JSON.parse(answer) satisfies unknown) : undefined
  }, Effect.uninterruptible)
  return { ask, drop }
})

/** What a server answers that has no such function, or no schema of a team. */
const missing: ReadonlySet<string> = new Set(["42883", "3F000"])

/** Fails with which side is older, if the server lacks what was called. */
const explainMissing = (connection: PgConnection.PgConnection) => (error: WireError) =>
  Effect.flatMap(Effect.mapError(connection.query(functionsQuestion, []), wireError), ({ rows }) => {
    const older = "the functions of the database are older than this program, or missing: secrets team migrate"
    return new WireError({ reason: newerFunctions(rows[0]?.["answer"]) ?? older, code: error.code })
  })

/** Takes the code of the server out of an error; other codes, such as ECONNRESET, are of the connection. */
export const wireError = (error: SqlError): WireError => {
  const { cause } = error.reason
  const given: unknown = typeof cause === "object" && cause !== null ? Reflect.get(cause, "code") : undefined
  const text: unknown = typeof cause === "object" && cause !== null ? Reflect.get(cause, "message") : undefined
  return new WireError({
    reason: typeof text === "string" ? text : error.message,
    code: typeof given === "string" && /^[0-9A-Z]{5}$/.test(given) ? given : undefined
  })
}
