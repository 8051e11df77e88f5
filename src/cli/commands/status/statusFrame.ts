/**
 * Lays out `status --watch` for a terminal of a given size. Pure: data in, lines out.
 */
import { type AcquireMetrics, quantile } from "./acquireMetrics.ts"
import { formatDuration } from "../../terminal/formatDuration.ts"
import { truncate, printable, table } from "../../terminal/table.ts"

/** The result of one poll. */
export interface StatusSnapshot {
  readonly running: boolean
  readonly secrets: number
  readonly leases: number
  readonly diagnostics: DaemonDiagnostics | undefined
  readonly byClient: ReadonlyArray<readonly [name: string, count: number]>
  readonly bySecret: ReadonlyArray<readonly [name: string, count: number]>
  readonly entries: ReadonlyArray<ReadonlyArray<string>>
}

export interface DaemonDiagnostics {
  readonly pid: number
  readonly version: string
  readonly uptimeMillis: number
  readonly failure: string | undefined
  readonly sinks: ReadonlyArray<string>
}

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
  const line = (text: string) => truncate(text, columns)
  const [state, code] = stateOf(frame)
  const title = line(`agent-secrets  ${state}  ${printable(frame.socketPath)}`)
  const lines = [title.replace(state, painted(code, state)), ""]
  const { snapshot } = frame
  if (snapshot === undefined) return [...lines, ...bottom(columns)]
  lines.push(...summaryOf(frame, snapshot).map(line), "")
  const halves = [topOf("CLIENT", snapshot.byClient), topOf("SECRET", snapshot.bySecret)]
  lines.push(...sideBySide(halves, columns), "")
  const room = rows - lines.length - 3
  if (room > 0 && snapshot.entries.length > 0) {
    const shown = table(["TIME", "", "ACTION", "SECRET", "CLIENT"], snapshot.entries.slice(-room), { width: columns })
    lines.push(...shown.trimEnd().split("\n").map(line))
  }
  return [...lines.slice(0, Math.max(1, rows - 2)), ...bottom(columns)]
}

const bottom = (columns: number): ReadonlyArray<string> => ["", truncate("q quits", columns)]

/** Returns the state and its ANSI colour. */
const stateOf = ({ silentMillis, snapshot }: StatusFrame): readonly [state: string, code: string] => {
  if (silentMillis !== undefined) return [`not responding for ${formatDuration(silentMillis)}`, "31"]
  if (snapshot === undefined) return ["connecting", "33"]
  const failure = snapshot.diagnostics?.failure
  if (failure !== undefined) return [`refusing: ${printable(failure)}`, "31"]
  return snapshot.running ? ["serving", "32"] : ["stopping", "33"]
}

const summaryOf = ({ recent, rate }: StatusFrame, snapshot: StatusSnapshot): ReadonlyArray<string> => {
  const { diagnostics } = snapshot
  const within = (q: number) => millis(recent === undefined ? undefined : quantile(recent, q))
  return [
    ...(diagnostics === undefined
      ? []
      : [
          `up ${formatDuration(diagnostics.uptimeMillis)}  ·  process ${diagnostics.pid}  ·  version ${diagnostics.version}`
        ]),
    `secrets ${snapshot.secrets}  ·  active leases ${snapshot.leases}`,
    `acquires ${rate === undefined ? "–" : rate.toFixed(1)}/s  ·  p50 ${within(0.5)}  ·  p99 ${within(0.99)}`,
    ...(diagnostics?.sinks ?? []).map(printable)
  ]
}

const millis = (seconds: number | undefined): string => {
  if (seconds === undefined) return "–"
  return Number.isFinite(seconds) ? `≤ ${Number((seconds * 1000).toFixed(1))} ms` : "> 5 s"
}

const topOf = (head: string, counts: StatusSnapshot["byClient"]): ReadonlyArray<readonly [string, string]> => [
  [head, "LEASES"],
  ...counts.slice(0, topCount).map(([name, count]) => [printable(name), `${count}`] as const)
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
          return `${truncate(name, half - 7).padEnd(half - 6)}${count.padStart(6)}`
        })
        .join(" ".repeat(gap))
        .trimEnd(),
      columns
    )
  )
}
