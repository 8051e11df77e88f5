/**
 * A restart that a client asks for: the daemon ends in order, and its supervisor
 * starts a fresh one.
 *
 * After one, further ones are refused for a while. The moment is kept on the disk,
 * so that the refusal outlives the restart.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { refusedFact, restartFact } from "../../domain/AuditEntry.ts"
import { formatGoDuration, millisecond, second } from "../../domain/GoDuration.ts"
import { fromMillis, parseTimestamp } from "../../domain/Timestamp.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { AuditLogError } from "../audit/AuditLog.ts"
import { type FileError, readIfPresent, replaceFile } from "../files/durableFile.ts"

/** As long as later versions of the predecessor have it. */
const coolDown = 30n * second

/** There was a restart a moment ago, or one is under way. */
export class RestartRefused extends Schema.TaggedError<RestartRefused>()("RestartRefused", {
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
    /** Asks for a restart; it begins when whoever asked has been answered. */
    readonly request: Effect.Effect<void, RestartRefused | AuditLogError | FileError>
    /** Waits until a restart is asked for. */
    readonly requested: Effect.Effect<void>
  }
>()("agent-secrets/Restart") {
  static readonly layer = (coolDownPath: string) =>
    Layer.effect(
      Restart,
      Effect.gen(function* () {
        const audit = yield* AuditLog
        const asked = Deferred.makeUnsafe<void>()

        const one = yield* Semaphore.make(1)

        const refuse = (reason: string) =>
          Effect.andThen(
            Effect.ignore(audit.append([refusedFact(restartFact, reason)])),
            Effect.fail(new RestartRefused({ reason }))
          )

        const request = Effect.gen(function* () {
          if (Deferred.isDoneUnsafe(asked)) return yield* refuse("daemon restart is already pending")
          const now = yield* Clock.currentTimeMillis
          const file = yield* readIfPresent(coolDownPath)
          const last = file === undefined ? Option.none() : decodeCoolDown(file.toString("utf8"))
          const before = Option.flatMap(last, ({ requested_at }) => parseTimestamp(requested_at))
          const left = Option.match(before, {
            onNone: () => 0n,
            onSome: ({ millis }) => coolDown - BigInt(now - millis) * millisecond
          })
          if (left > 0n && left <= coolDown) {
            return yield* refuse(`daemon restart is cooling down; retry after ${formatGoDuration(left)}`)
          }
          yield* audit.append([restartFact])
          const contents = `${JSON.stringify({ requested_at: fromMillis(now).text })}\n`
          yield* replaceFile(coolDownPath, [Buffer.from(contents, "utf8")])
          Deferred.doneUnsafe(asked, Effect.void)
        }).pipe(Semaphore.withPermit(one))
        return Restart.of({ request, requested: Deferred.await(asked) })
      })
    )
}
