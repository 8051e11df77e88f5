/**
 * Lays out `status --watch` for a terminal of a given size, and reads the lease metrics from
 * the daemon's Prometheus text. Pure: data in, lines out.
 */
import { padEnd, truncate } from "../../terminal/displayWidth.ts"
import { escapeLine, escapeValue } from "../../../domain/escape.ts"
import { type Shaped, optional } from "../../../domain/shape.ts"
import { absentSink, diagnosticsExample, statusExample } from "./status.ts"
import { table } from "../../terminal/table.ts"
import { formatDuration } from "../../terminal/formatDuration.ts"

/** The shapes of the replies to a poll. */
export const pollExamples = {
  status: statusExample,
  diagnostics: diagnosticsExample,
  leases: { by_client: [{ client_id: "", count: 0 }], by_secret: [{ secret_name: "", count: 0 }] },
  audit: { entries: [{ timestamp: "", action: "", secret_name: optional(""), client_id: optional(""), success: true }] }
}
type Replies = Shaped<typeof pollExamples>
/** The predecessor sends only its status. */
type StatusSnapshot = Pick<Replies, "status"> & { readonly [Name in keyof Replies]: Replies[Name] | undefined }

export interface StatusFrame {
  readonly socketPath: string
  /** Undefined until the daemon has replied once. */
  readonly snapshot: StatusSnapshot | undefined
  /** How long the daemon has not responded; undefined if it does. */
  readonly silentMillis: number | undefined
  /** Leases per second since the last poll; undefined until there are two. */
  readonly rate: number | undefined
  /** Metrics since the last poll with leases, or since the daemon started. */
  readonly recent: AcquireMetrics | undefined
}

export interface FrameStyle {
  readonly columns: number
  readonly rows: number
  readonly colour: boolean
}

const topCount = 5

export const renderFrame = (frame: StatusFrame, { colour, columns, rows }: FrameStyle): ReadonlyArray<string> => {
  const painted = (code: string, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)
  const line = (text: string) => truncate(escapeLine(text), columns)
  const [state, code] = stateOf(frame)
  const title = line(`agent-secrets  ${state}  ${escapeValue(frame.socketPath)}`)
  const lines = [title.replace(state, () => painted(code, state)), ""]
  const { snapshot } = frame
  if (snapshot === undefined) return [...lines, ...bottom(columns)]
  lines.push(...summaryOf(frame, snapshot).map(line), "")
  const { by_client: byClient = [], by_secret: bySecret = [] } = snapshot.leases ?? {}
  const halves = [
    topOf(
      "CLIENT",
      byClient.map(({ client_id, count }) => [client_id, count])
    ),
    topOf(
      "SECRET",
      bySecret.map(({ count, secret_name }) => [secret_name, count])
    )
  ]
  lines.push(...sideBySide(halves, columns), "")
  const room = rows - lines.length - 3
  const entries = snapshot.audit?.entries ?? []
  if (room > 0 && entries.length > 0) {
    const latest = entries
      .slice(-room)
      .map(({ action, client_id: client = "", secret_name: secret = "", success, timestamp }) => [
        timestamp.slice(11, 19),
        success ? "" : "FAILED",
        action,
        secret,
        client
      ])
    lines.push(...table(["TIME", "", "ACTION", "SECRET", "CLIENT"], latest, { width: columns }).map(line))
  }
  return [...lines.slice(0, Math.max(1, rows - 2)), ...bottom(columns)]
}

const bottom = (columns: number): ReadonlyArray<string> => ["", truncate("q quits", columns)]

/** Returns the state and its ANSI colour. */
const stateOf = ({ silentMillis, snapshot }: StatusFrame): readonly [state: string, code: string] => {
  if (silentMillis !== undefined) return [`not responding for ${formatDuration(silentMillis)}`, "31"]
  if (snapshot === undefined) return ["connecting", "33"]
  const failure = snapshot.diagnostics?.audit.failure
  if (failure !== undefined) return [escapeLine(`refusing: ${failure}`), "31"]
  const storeFailure = snapshot.diagnostics?.store?.failure
  if (storeFailure !== undefined) return [escapeLine(`rejecting changes: ${storeFailure}`), "33"]
  if (snapshot.status.locked_since !== undefined) return ["locked", "31"]
  return snapshot.status.running ? ["serving", "32"] : ["stopping", "33"]
}

const summaryOf = ({ recent, rate }: StatusFrame, { diagnostics, status }: StatusSnapshot): ReadonlyArray<string> => {
  const within = (q: number) => millis(recent === undefined ? undefined : quantile(recent, q))
  return [
    ...(diagnostics === undefined
      ? []
      : [
          `up ${formatDuration(diagnostics.uptime_ms)}  ·  process ${diagnostics.pid}  ·  version ${diagnostics.version}`
        ]),
    `secrets ${status.secrets_count}  ·  active leases ${status.active_leases}`,
    `acquires ${rate === undefined ? "–" : rate.toFixed(1)}/s  ·  p50 ${within(0.5)}  ·  p99 ${within(0.99)}`,
    ...(diagnostics?.sinks ?? []).map(
      ({ dropped, kind, queued, sent, target }) =>
        `events to ${kind}${target === undefined ? ` (${absentSink(kind).replace(/^is /, "")})` : ""}: ${sent} sent, ${queued} queued, ${dropped} lost`
    )
  ]
}

const millis = (seconds: number | undefined): string => {
  if (seconds === undefined) return "–"
  return Number.isFinite(seconds) ? `≤ ${Number((seconds * 1000).toFixed(1))} ms` : "> 5 s"
}

const topOf = (
  head: string,
  counts: ReadonlyArray<readonly [string, number]>
): ReadonlyArray<readonly [string, string]> => [
  [head, "LEASES"],
  ...counts.slice(0, topCount).map(([name, count]) => [escapeValue(name), `${count}`] as const)
]

/** Renders short tables next to each other. */
const sideBySide = (tables: ReadonlyArray<ReturnType<typeof topOf>>, columns: number): ReadonlyArray<string> => {
  const gap = 4
  const half = Math.max(12, Math.min(40, Math.floor((columns - gap) / 2)))
  const height = Math.max(...tables.map((rows) => rows.length))
  return [...Array(height).keys()].map((row) =>
    truncate(
      tables
        .map((rows) => {
          const [name = "", count = ""] = rows[row] ?? []
          return `${padEnd(truncate(name, half - 7), half - 6)}${count.padStart(6)}`
        })
        .join(" ".repeat(gap))
        .trimEnd(),
      columns
    )
  )
}

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
