/**
 * How long a lease lasts: the one place to change that rule.
 *
 * A request names a duration or none. None, zero, a negative one and one below
 * a nanosecond all mean the default, as they always did; above the maximum is
 * refused, exactly the maximum is not. Source: protocol specification, 4.
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

/** A lease was asked for longer than the maximum. Durations in the predecessor's printed form. */
export class TtlTooLong extends Schema.TaggedError<TtlTooLong>()("TtlTooLong", {
  requested: Schema.String,
  maximum: Schema.String
}) {
  override get message() {
    return "invalid TTL duration"
  }
}

/** The duration a lease gets. */
export const grantedTtl = (requested: GoDuration, policy: TtlPolicy): Result.Result<GoDuration, TtlTooLong> => {
  if (requested <= 0n) return Result.succeed(policy.default)
  if (requested > policy.maximum) {
    return Result.fail(
      new TtlTooLong({ requested: formatGoDuration(requested), maximum: formatGoDuration(policy.maximum) })
    )
  }
  return Result.succeed(requested)
}
