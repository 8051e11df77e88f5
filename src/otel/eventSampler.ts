/**
 * Samples events by level, and debug events by a limit per action and minute. The next
 * event that is sampled carries the count of those that were not, as `notSent`.
 */
import { type Level, levels, type SamplingPolicy } from "../domain/TelemetryConfig.ts"
import type { OtelEvent } from "./OtelEvent.ts"

const minute = 60_000

/** Returns a function that returns the event to send at `now`, in milliseconds, or undefined. */
export const makeEventSampler = (
  policy: SamplingPolicy
): ((event: OtelEvent, now: number) => OtelEvent | undefined) => {
  const sampledLevels: ReadonlySet<Level> = new Set(levels.slice(levels.indexOf(policy.minLevel)))
  const debugCounts = new Map<string, { minute: number; count: number }>()
  let notSent = 0

  const isSampled = ({ action, level }: OtelEvent, now: number): boolean => {
    if (!sampledLevels.has(level)) return false
    if (level !== "debug") return true
    const current = Math.floor(now / minute)
    let entry = debugCounts.get(action)
    if (entry?.minute !== current) debugCounts.set(action, (entry = { minute: current, count: 0 }))
    entry.count += 1
    return entry.count <= policy.debugPerMinute
  }

  return (event, now) => {
    if (!isSampled(event, now)) {
      notSent += 1
      return undefined
    }
    if (notSent === 0) return event
    const sampled = { ...event, metadata: { ...event.metadata, notSent } }
    notSent = 0
    return sampled
  }
}
