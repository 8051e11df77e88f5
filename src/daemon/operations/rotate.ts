/**
 * rotate: runs the rotation command of a secret and records the result.
 *
 * Usually the command changes something outside, and the value stays. With
 * `rotateStdout` its standard output becomes the new value, as one from a pipe, and the
 * client gets none of it. The audit log never contains output.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { isUtf8 } from "node:buffer"
import { rotateRefusedFact } from "../../domain/storeFacts.ts"
import { pipedValue } from "../../domain/pipedValue.ts"
import { NoRotationHook, RotationFailed, type SecretInfo, valueLimit } from "../../domain/Secret.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { type HookResult, RotationHook } from "../secrets/RotationHook.ts"
import { endStored } from "./requests.ts"
import { lockedReason } from "../secrets/lockableStore.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

export const rotateSecret = Effect.fn("rotate")(function* (name: string) {
  const secrets = yield* SecretStore
  const found = yield* Effect.tapError(Effect.fromResult(secrets.get(name)), ({ _tag }) =>
    record(name, _tag === "StoreLocked" ? lockedReason : "secret not found")
  )
  if (found.rotateVia === "") {
    yield* record(name, "no rotation hook configured")
    return yield* new NoRotationHook({ name })
  }
  return yield* secrets.whileOpen(runCommand(found))
})

/** Runs the command, and records its result even if the store is locked meanwhile: the new value exists nowhere else. */
const runCommand = Effect.fnUntraced(function* ({ name, rotateStdout, rotateVia }: SecretInfo) {
  const secrets = yield* SecretStore
  const leases = yield* LeaseRepo
  const hook = yield* RotationHook
  const sink = yield* OtelSink
  const running = hook.run(rotateVia, name, secrets.whileOpen(Effect.void))
  const [duration, result] = yield* Effect.timed(Effect.tapError(running, () => record(name, lockedReason)))
  const emit = (newValue: boolean, leasesOfOldValue: number, error?: string) =>
    sink.emit(
      OtelEvent.secretRotated(
        { secretName: name, newValue, leasesOfOldValue, durationMs: Duration.toMillis(duration) },
        error
      )
    )
  const value = result.status === "done" ? (rotateStdout ? newValue(result) : Option.some(undefined)) : Option.none()
  if (Option.isNone(value)) {
    const reason = result.status === "done" ? "gave no usable value" : result.status
    yield* emit(false, 0, `rotation hook ${reason}`)
    return yield* reject(name, result.outcome, `rotation hook ${reason}`)
  }
  const at = yield* secrets.recordRotation(name, result.outcome, value.value)
  if (rotateStdout) yield* endStored([name])
  const leasesOfOldValue = rotateStdout ? yield* leases.activeCountOfSecret(name) : 0
  yield* emit(rotateStdout, leasesOfOldValue)
  // The output of a command may be a value.
  const output = rotateStdout || secrets.lockedSince() !== undefined ? "" : joinOutput(result)
  return { at, output, leasesOfOldValue }
})

/** Records that no command was run; a failure to record it is ignored. */
const record = (name: string, reason: string) =>
  AuditLog.use((audit) => Effect.ignore(audit.append([rotateRefusedFact(name, reason)])))

const reject = Effect.fnUntraced(function* (name: string, outcome: string, reason: string) {
  const audit = yield* AuditLog
  yield* audit.append([rotateRefusedFact(name, outcome)])
  return yield* new RotationFailed({ name, reason })
})

/** Joins the output as the predecessor does: standard output, then standard error on a new line. */
const joinOutput = ({ stderr, stdout }: HookResult): string => {
  const [out, err] = [Buffer.from(stdout).toString("utf8"), Buffer.from(stderr).toString("utf8")]
  return out !== "" && err !== "" ? `${out}\n${err}` : out + err
}

const newValue = ({ stdout }: HookResult): Option.Option<Redacted.Redacted> => {
  if (!isUtf8(stdout)) return Option.none()
  const value = pipedValue(Buffer.from(stdout).toString("utf8"))
  if (value === "" || Buffer.byteLength(value) > valueLimit) return Option.none()
  return Option.some(Redacted.make(value))
}
