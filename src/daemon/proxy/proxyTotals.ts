/**
 * What the routes of a run have carried: the totals of its workers together, what is new since
 * they were counted, and whether they are due for an audit entry.
 */
import type { NamedRoute } from "../../domain/proxyFacts.ts"
import { type RouteTotals, noTotals, proxyRefusalCodes, type Totals } from "../../domain/proxyMessages.ts"
import { countProxy } from "../../otel/metrics.ts"

/** How often the use of a route is recorded while it lasts, in milliseconds. */
const recordInterval = 300_000

const statusClasses = ["1xx", "2xx", "3xx", "4xx", "5xx"]

interface Counted {
  /** Those of the workers before. */
  before: RouteTotals
  now: RouteTotals
  recorded: RouteTotals
  recordedAt: number
}

export class ProxyTotals {
  private readonly routes: ReadonlyMap<string, Counted>

  constructor(routes: ReadonlyArray<NamedRoute>, now: number) {
    this.routes = new Map(
      routes.map(({ name }) => {
        const none = noTotals(name)
        return [name, { before: none, now: none, recorded: none, recordedAt: now }]
      })
    )
  }

  /** Takes the totals of the worker that serves the run now. */
  take(totals: Totals): void {
    for (const given of totals) {
      const counted = this.routes.get(given.route)
      if (counted === undefined) continue
      const next = sum(counted.before, given)
      if (next.requests < counted.now.requests) continue
      count(counted.now, next)
      counted.now = next
    }
  }

  /** Counts the first request of a route before the worker has: it may be killed before it reports. */
  markUsed(route: string, time: number): void {
    const counted = this.routes.get(route)
    if (counted === undefined || counted.now.requests > 0) return
    const next = { ...counted.now, requests: 1, firstUsed: time, lastUsed: time }
    count(counted.now, next)
    counted.now = next
  }

  /** Begins to count those of a new worker. */
  continueElsewhere(): void {
    for (const counted of this.routes.values()) counted.before = { ...counted.now, inFlight: 0 }
  }

  all(): Totals {
    return [...this.routes.values()].map(({ now }) => now)
  }

  /** Returns the totals of routes that carried something since their last entry; at the end, all of these. */
  due(time: number, isEnd = false): Totals {
    return [...this.routes.values()].flatMap((counted) => {
      const { now, recorded, recordedAt } = counted
      const isNew = now.requests !== recorded.requests || now.bytesOut !== recorded.bytesOut
      if (!isNew || (!isEnd && time - recordedAt < recordInterval)) return []
      counted.recorded = now
      counted.recordedAt = time
      return [now]
    })
  }
}

const earliest = (one: number | undefined, other: number | undefined) => one ?? other

/** Adds the counts of two workers. */
const sum = (before: RouteTotals, now: RouteTotals): RouteTotals => ({
  route: now.route,
  requests: before.requests + now.requests,
  inFlight: now.inFlight,
  statuses: addEach(before.statuses, now.statuses, statusClasses),
  refusals: addEach(before.refusals, now.refusals, proxyRefusalCodes),
  bytesIn: before.bytesIn + now.bytesIn,
  bytesOut: before.bytesOut + now.bytesOut,
  masked: before.masked + now.masked,
  unknownCa: before.unknownCa + now.unknownCa,
  firstUsed: earliest(before.firstUsed, now.firstUsed),
  lastUsed: now.lastUsed ?? before.lastUsed,
  firstByte: {
    sum: before.firstByte.sum + now.firstByte.sum,
    count: before.firstByte.count + now.firstByte.count
  }
})

type Counts = Readonly<Partial<Record<string, number>>>

/** Adds counts of known keys alone: they become names of metrics. */
const addEach = (one: Counts, other: Counts, keys: ReadonlyArray<string>): Record<string, number> =>
  Object.fromEntries(
    keys.flatMap((key) => {
      const count = (one[key] ?? 0) + (other[key] ?? 0)
      return count > 0 ? [[key, count]] : []
    })
  )

const count = (before: RouteTotals, now: RouteTotals): void =>
  countProxy({
    route: now.route,
    requests: now.requests - before.requests,
    bytesIn: now.bytesIn - before.bytesIn,
    bytesOut: now.bytesOut - before.bytesOut,
    firstByteSeconds: (now.firstByte.sum - before.firstByte.sum) / 1000,
    statuses: growth(before.statuses, now.statuses),
    refusals: growth(before.refusals, now.refusals)
  })

const growth = (before: Counts, now: Counts): ReadonlyArray<readonly [string, number]> =>
  Object.entries(now).flatMap(([key, all = 0]) => {
    const more = all - (before[key] ?? 0)
    return more > 0 ? [[key, more] as const] : []
  })
