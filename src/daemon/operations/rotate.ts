/**
 * rotate: runs a secret's command and records what came of it.
 *
 * There are two kinds, chosen for each secret. The usual one changes something
 * outside and leaves the value alone. With `rotateStdout` what the command prints,
 * but for one line feed at its end, becomes the new value; then nothing of it is
 * given to whoever asked. What is printed never goes into the audit log.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { rotateRefusedFact } from "../../domain/AuditEntry.ts"
import { NoRotationHook, RotationFailed, valueLimit } from "../../domain/Secret.ts"
import type { Timestamp } from "../../domain/Timestamp.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import type { HookResult } from "../secrets/RotationHook.ts"
import { RotationHook } from "../secrets/RotationHook.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

export interface Rotated {
  readonly at: Timestamp
  /** What the command printed; empty where that is the value. */
  readonly output: string
  /** Active leases that were granted for the value before this one; none where the value stayed. */
  readonly leasesOfOldValue: number
}

export const rotateSecret = Effect.fn("rotate")(function* (name: string) {
  const secrets = yield* SecretStore
  const leases = yield* LeaseRepo
  const hook = yield* RotationHook
  const sink = yield* OtelSink
  const { rotateStdout, rotateVia } = yield* Effect.tapError(Effect.fromResult(secrets.get(name)), () =>
    record(name, "secret not found")
  )
  if (rotateVia === "") {
    yield* record(name, "no rotation hook configured")
    return yield* new NoRotationHook({ name })
  }

  const [took, result] = yield* Effect.timed(hook.run(rotateVia, name))
  const tell = (newValue: boolean, leasesOfOldValue: number, error?: string) =>
    sink.emit(
      OtelEvent.secretRotated(
        { secretName: name, newValue, leasesOfOldValue, durationMs: Duration.toMillis(took) },
        error
      )
    )
  const value = result.status === "done" ? (rotateStdout ? newValue(result) : Option.some(undefined)) : Option.none()
  if (Option.isNone(value)) {
    const reason = result.status === "done" ? "gave no usable value" : result.status
    yield* tell(false, 0, `rotation hook ${reason}`)
    return yield* refuse(name, result.outcome, `rotation hook ${reason}`)
  }
  const at = yield* secrets.recordRotation(name, result.outcome, value.value)
  const rotated: Rotated = {
    at,
    output: rotateStdout ? "" : printed(result),
    leasesOfOldValue: rotateStdout ? yield* leases.activeCountOfSecret(name) : 0
  }
  yield* tell(rotateStdout, rotated.leasesOfOldValue)
  return rotated
})

/** Nothing was run, so nothing is lost if it cannot be recorded. */
const record = (name: string, reason: string) =>
  AuditLog.use((audit) => Effect.ignore(audit.append([rotateRefusedFact(name, reason)])))

const refuse = Effect.fnUntraced(function* (name: string, outcome: string, reason: string) {
  const audit = yield* AuditLog
  yield* audit.append([rotateRefusedFact(name, outcome)])
  return yield* new RotationFailed({ name, reason })
})

/** The predecessor's form: standard output, then, on a line of its own, standard error. */
const printed = ({ stderr, stdout }: HookResult): string => {
  const [out, err] = [Buffer.from(stdout).toString("utf8"), Buffer.from(stderr).toString("utf8")]
  return out !== "" && err !== "" ? `${out}\n${err}` : out + err
}

const newValue = ({ stdout }: HookResult): Option.Option<Redacted.Redacted> => {
  const bytes = stdout.at(-1) === 0x0a ? stdout.subarray(0, -1) : stdout
  if (bytes.length === 0 || bytes.length > valueLimit) return Option.none()
  return Option.map(
    Option.liftThrowable((utf8: Uint8Array) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(utf8))(
      bytes
    ),
    (text) => Redacted.make(text)
  )
}
