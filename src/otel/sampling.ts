/**
 * Which events are sent: those from a level on, and of the debug ones so many a
 * minute. What is not sent is counted, and the next event that is tells how many
 * there were.
 */
import type { SamplingPolicy } from "../domain/Sampling.ts"
import { levels } from "../domain/Sampling.ts"
import type { OtelEvent } from "./OtelEvent.ts"

const minute = 60_000

/** Gives the event as it is sent at `now`, in milliseconds; undefined if it is not. */
export const sampler = (policy: SamplingPolicy): ((event: OtelEvent, now: number) => OtelEvent | undefined) => {
  const sent = new Map<string, { minute: number; count: number }>()
  let unsent = 0

  const mayGo = ({ action, level }: OtelEvent, now: number): boolean => {
    if (levels.indexOf(level) < levels.indexOf(policy.minLevel)) return false
    if (level !== "debug") return true
    const current = Math.floor(now / minute)
    const known = sent.get(action)
    const count = known?.minute === current ? known.count + 1 : 1
    sent.set(action, { minute: current, count })
    return count <= policy.debugPerMinute
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
