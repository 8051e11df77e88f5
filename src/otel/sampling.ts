/**
 * Which events are sent: those from a level on, and of the debug ones so many a
 * minute. What is not sent is counted, and the next event that is tells how many
 * there were. To leave one out costs a comparison.
 */
import type { Level, SamplingPolicy } from "../domain/TelemetryConfig.ts"
import { levels } from "../domain/TelemetryConfig.ts"
import type { OtelEvent } from "./OtelEvent.ts"

const minute = 60_000

/** Gives the event as it is sent at `now`, in milliseconds; undefined if it is not. */
export const makeEventSampler = (
  policy: SamplingPolicy
): ((event: OtelEvent, now: number) => OtelEvent | undefined) => {
  const wanted: ReadonlySet<Level> = new Set(levels.slice(levels.indexOf(policy.minLevel)))
  const sent = new Map<string, { minute: number; count: number }>()
  let unsent = 0

  const mayGo = ({ action, level }: OtelEvent, now: number): boolean => {
    if (!wanted.has(level)) return false
    if (level !== "debug") return true
    const current = Math.floor(now / minute)
    let known = sent.get(action)
    if (known === undefined) sent.set(action, (known = { minute: current, count: 0 }))
    if (known.minute !== current) {
      known.minute = current
      known.count = 0
    }
    known.count += 1
    return known.count <= policy.debugPerMinute
  }

  return (event, now) => {
    if (!mayGo(event, now)) {
      unsent += 1
      return undefined
    }
    const before = unsent
    unsent = 0
    return before === 0 ? event : { ...event, metadata: { ...event.metadata, notSent: before } }
  }
}
