/**
 * Figures of the daemon, read back from the text that Prometheus reads, and what they
 * come to between two looks.
 */

export interface AcquireMetrics {
  /** Leases issued since the daemon started. */
  readonly acquires: number
  /** How many of them took at most so many seconds, rising. */
  readonly buckets: ReadonlyArray<readonly [seconds: number, count: number]>
}

const acquires = "agent_secrets_lease_acquires_total"
const bucket = /^agent_secrets_lease_acquire_duration_seconds_bucket\{le="([^"]+)"\} (\d+)$/

export const parseAcquireMetrics = (text: string): AcquireMetrics => {
  const lines = text.split("\n")
  const issued = lines.find((line) => line.startsWith(`${acquires} `))?.slice(acquires.length)
  return {
    acquires: Number(issued ?? 0),
    buckets: lines.flatMap((line) => {
      const [, limit = "", count = ""] = bucket.exec(line) ?? []
      return limit === "" ? [] : [[limit === "+Inf" ? Number.POSITIVE_INFINITY : Number(limit), Number(count)] as const]
    })
  }
}

/** What came between; all of the later ones if the daemon was started anew. */
export const metricsDelta = (before: AcquireMetrics | undefined, after: AcquireMetrics): AcquireMetrics => {
  if (before === undefined || before.acquires > after.acquires) return after
  const known = new Map(before.buckets)
  return {
    acquires: after.acquires - before.acquires,
    buckets: after.buckets.map(([limit, count]) => [limit, count - (known.get(limit) ?? 0)] as const)
  }
}

/** The seconds within which such a part of them was issued: no finer than the buckets; undefined where there were none. */
export const quantile = ({ buckets }: AcquireMetrics, part: number): number | undefined => {
  const all = buckets.at(-1)?.[1] ?? 0
  if (all === 0) return undefined
  return buckets.find(([, count]) => count >= all * part)?.[0]
}
