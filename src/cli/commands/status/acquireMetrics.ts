/**
 * Reads the lease metrics from the daemon's Prometheus text, and computes the
 * difference of two readings and their quantiles.
 */

export interface AcquireMetrics {
  /** Leases issued since the daemon started. */
  readonly acquires: number
  /** Cumulative histogram: how many took at most this many seconds. */
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

/** Returns the change since an earlier reading; the later reading itself if the daemon restarted in between. */
export const metricsDelta = (before: AcquireMetrics | undefined, after: AcquireMetrics): AcquireMetrics => {
  if (before === undefined || before.acquires > after.acquires) return after
  const known = new Map(before.buckets)
  return {
    acquires: after.acquires - before.acquires,
    buckets: after.buckets.map(([limit, count]) => [limit, count - (known.get(limit) ?? 0)] as const)
  }
}

/** Returns the upper bound of the bucket with the q-quantile, in seconds; undefined without data. */
export const quantile = ({ buckets }: AcquireMetrics, q: number): number | undefined => {
  const all = buckets.at(-1)?.[1] ?? 0
  if (all === 0) return undefined
  return buckets.find(([, count]) => count >= all * q)?.[0]
}
