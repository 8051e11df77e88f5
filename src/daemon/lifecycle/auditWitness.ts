/**
 * Sends the last entry of the audit log elsewhere, where a program that can write the state directory
 * cannot change it: to syslog, or as an event. At the start, at an interval and at the stop.
 *
 * It never blocks and never fails a request; what cannot be sent is logged once.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Config } from "../../domain/Config.ts"
import { toMillis } from "../../domain/GoDuration.ts"
import { absoluteEntries } from "../../domain/paths.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { sleepFor } from "../../process/sleepUntil.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { AuditPosition } from "../audit/AuditPosition.ts"

/** The daemon has two seconds to stop. */
const timeout = Duration.millis(500)

/** Returns an effect that sends the last entry, unless it is the one that was sent last. */
export const makeWitness = Effect.fnUntraced(function* (settings: Config["auditWitness"], searchPath = "") {
  const audit = yield* AuditLog
  const sink = yield* OtelSink
  let sent = 0
  let isFailing = false

  const toSyslog = Effect.fnUntraced(function* ({ at, line, seq }: AuditPosition) {
    const { runTool } = yield* Effect.promise(() => import("../../process/runTool.ts"))
    const message = `audit witness: ${seq} ${line} ${at}`
    const env = { PATH: `${absoluteEntries(searchPath)}:/usr/bin:/bin` }
    const { status } = yield* runTool(["logger", "-t", "agent-secrets", "-p", "authpriv.notice", message], {
      env,
      timeout
    })
    if (status !== 0) yield* Effect.fail({ message: `logger: exit status ${status}` })
  })

  const report = (error: { readonly message: string }) =>
    Effect.suspend(() => {
      const isNew = !isFailing
      isFailing = true
      return isNew ? Effect.logWarning(`audit witness: ${error.message}`) : Effect.void
    })

  return Effect.gen(function* () {
    const position = yield* audit.position
    if (position.seq === sent) return
    sent = position.seq
    if (settings?.events === true) {
      yield* sink.emit(OtelEvent.auditWitnessed({ auditSeq: position.seq, auditHash: position.line }))
    }
    if (settings?.syslog !== true) return
    yield* Effect.matchEffect(toSyslog(position), {
      onFailure: report,
      onSuccess: () => Effect.sync(() => void (isFailing = false))
    })
  })
})

/** Sends at the start and at the interval, forever. */
export const sendWitnesses = Effect.fnUntraced(function* (settings: Config["auditWitness"], send: Effect.Effect<void>) {
  if (settings === undefined) return yield* Effect.never
  return yield* Effect.forever(Effect.andThen(send, sleepFor(Duration.millis(toMillis(settings.interval)))))
})
