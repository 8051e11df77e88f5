/**
 * A restart on request: the daemon stops in order, and its supervisor starts a new one.
 *
 * Further requests are rejected during a cool-down. Its start is kept on disk, so that
 * it survives the restart. Where nothing would start the daemon again, only its owner may.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { restartFact } from "../../domain/daemonFacts.ts"
import { refusedFact } from "../../domain/factMakers.ts"
import { formatGoDuration, millisecond, second } from "../../domain/GoDuration.ts"
import { fromMillis, parseTimestamp } from "../../domain/Timestamp.ts"
import { CurrentCaller } from "../audit/CurrentCaller.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { AuditLogError } from "../audit/AuditLogError.ts"
import { type FileError, replaceFile } from "../files/durableFile.ts"
import { readOrSetAside } from "../files/setAside.ts"

/** The same as in later versions of the predecessor. */
const coolDown = 30n * second

/** A restart is in progress, or there was one recently. */
export class RestartRefused extends Schema.TaggedError<RestartRefused>()("RestartRefused", {
  reason: Schema.String
}) {
  override get message() {
    return this.reason
  }
}

/** Nothing would start the daemon again, and the caller is not its owner. */
export class RestartNotAllowed extends Schema.TaggedError<RestartNotAllowed>()("RestartNotAllowed", {
  reason: Schema.String
}) {
  override get message() {
    return this.reason
  }
}

const CoolDownFile = Schema.Struct({ requested_at: Schema.String })
const decodeCoolDown = Schema.decodeUnknownOption(Schema.fromJsonString(CoolDownFile))

export class Restart extends Context.Service<
  Restart,
  {
    /** Requests a restart, which begins after the reply to the client. */
    readonly request: Effect.Effect<void, RestartRefused | RestartNotAllowed | AuditLogError | FileError>
    /** Waits until a restart is requested. */
    readonly requested: Effect.Effect<void>
  }
>()("agent-secrets/Restart") {
  static readonly layer = (coolDownPath: string, supervised: () => boolean) =>
    Layer.effect(
      Restart,
      Effect.gen(function* () {
        const audit = yield* AuditLog
        const requested = Deferred.makeUnsafe<void>()
        const lock = yield* Semaphore.make(1)

        const reject = <E extends RestartRefused | RestartNotAllowed>(error: E) =>
          Effect.andThen(Effect.ignore(audit.append([refusedFact(restartFact, error.reason)])), Effect.fail(error))
        const rejectNow = (reason: string) => reject(new RestartRefused({ reason }))

        const request = Effect.gen(function* () {
          if (Deferred.isDoneUnsafe(requested)) return yield* rejectNow("daemon restart is already pending")
          const { role } = yield* CurrentCaller
          if (role !== "owner" && !supervised()) {
            const reason = "no supervisor would start the daemon again, so only its owner may restart it"
            return yield* reject(new RestartNotAllowed({ reason }))
          }
          const now = yield* Clock.currentTimeMillis
          const { contents: file } = yield* readOrSetAside(coolDownPath)
          const last = file === undefined ? Option.none() : decodeCoolDown(file.toString("utf8"))
          const previous = Option.flatMap(last, ({ requested_at }) => parseTimestamp(requested_at))
          const left = Option.match(previous, {
            onNone: () => 0n,
            onSome: ({ millis }) => coolDown - BigInt(now - millis) * millisecond
          })
          if (left > 0n && left <= coolDown) {
            return yield* rejectNow(`daemon restart is cooling down; retry after ${formatGoDuration(left)}`)
          }
          yield* audit.append([restartFact])
          const contents = `${JSON.stringify({ requested_at: fromMillis(now).text })}\n`
          yield* replaceFile(coolDownPath, [Buffer.from(contents, "utf8")])
          Deferred.doneUnsafe(requested, Effect.void)
        }).pipe(Semaphore.withPermit(lock))
        return Restart.of({ request, requested: Deferred.await(requested) })
      })
    )
}
