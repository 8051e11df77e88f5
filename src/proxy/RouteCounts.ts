/** What a route has carried since its run was opened. */
import { noTotals, type ProxyRefusalCode, type RouteTotals } from "../domain/proxyMessages.ts"

type Writable<A> = { -readonly [K in keyof A]: A[K] }

/** Returns the time in milliseconds since 1970. */
export const wallClock = (): number => Math.round(performance.timeOrigin + performance.now())

export class RouteCounts {
  private readonly totals: Writable<RouteTotals>
  private readonly statuses: Record<string, number> = {}
  private readonly refusals: Partial<Record<ProxyRefusalCode, number>> = {}
  private readonly firstByte = { sum: 0, count: 0 }
  private readonly onChange: () => void

  constructor(route: string, onChange: () => void) {
    this.totals = { ...noTotals(route), statuses: this.statuses, refusals: this.refusals, firstByte: this.firstByte }
    this.onChange = onChange
  }

  begin(): void {
    this.totals.requests += 1
    this.totals.inFlight += 1
    this.totals.lastUsed = wallClock()
    this.totals.firstUsed ??= this.totals.lastUsed
    this.onChange()
  }

  end(): void {
    this.totals.inFlight -= 1
    this.onChange()
  }

  answered(status: number, millis: number): void {
    const key = `${Math.floor(status / 100)}xx`
    this.statuses[key] = (this.statuses[key] ?? 0) + 1
    this.firstByte.sum += millis
    this.firstByte.count += 1
    this.onChange()
  }

  refuse(code: ProxyRefusalCode): void {
    this.refusals[code] = (this.refusals[code] ?? 0) + 1
    this.onChange()
  }

  /** Adds bytes of requests. */
  sent(bytes: number): void {
    this.totals.bytesIn += bytes
    this.onChange()
  }

  /** Adds bytes of answers. */
  received(bytes: number): void {
    this.totals.bytesOut += bytes
    this.onChange()
  }

  masked(count: number): void {
    this.totals.masked += count
    this.onChange()
  }

  unknownCa(): void {
    this.totals.unknownCa += 1
    this.onChange()
  }

  snapshot(): RouteTotals {
    return {
      ...this.totals,
      statuses: { ...this.statuses },
      refusals: { ...this.refusals },
      firstByte: { ...this.firstByte }
    }
  }
}
