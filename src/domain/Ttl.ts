/**
 * The rule for how long a lease lasts.
 *
 * Zero, negative and absent durations mean the default, as with the predecessor. Only a
 * duration above the maximum is rejected. Source: protocol specification, section 4.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { GoDuration } from "./GoDuration.ts"
import { formatGoDuration, hour } from "./GoDuration.ts"

export interface TtlPolicy {
  readonly default: GoDuration
  readonly maximum: GoDuration
}

/** The predecessor's built-in limits. */
export const defaultTtlPolicy: TtlPolicy = { default: hour, maximum: 24n * hour }

/** The requested duration exceeds the maximum. */
export class TtlTooLong extends Schema.TaggedError<TtlTooLong>()("TtlTooLong", {
  requested: Schema.String,
  maximum: Schema.String
}) {
  override get message() {
    return "invalid TTL duration"
  }
}

/** Returns the duration that a lease gets. */
export const grantedTtl = (requested: GoDuration, policy: TtlPolicy): Result.Result<GoDuration, TtlTooLong> => {
  if (requested <= 0n) return Result.succeed(policy.default)
  if (requested > policy.maximum) {
    return Result.fail(
      new TtlTooLong({ requested: formatGoDuration(requested), maximum: formatGoDuration(policy.maximum) })
    )
  }
  return Result.succeed(requested)
}
