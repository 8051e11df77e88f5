/**
 * What `status --watch` shows: everything it knows, laid out for a terminal of a
 * size. Plain data in, lines out.
 */
import type { AcquireMetrics } from "./acquireMetrics.ts"
import { quantile } from "./acquireMetrics.ts"
import { formatDuration } from "../../terminal/formatDuration.ts"
import { truncate, printable, table } from "../../terminal/table.ts"

/** What a look at the daemon gave. */
export interface StatusSnapshot {
  readonly running: boolean
  readonly secrets: number
  readonly leases: number
  readonly condition: DaemonDiagnostics | undefined
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
  /** Undefined until the daemon has answered once. */
  readonly look: StatusSnapshot | undefined
  /** For how long it does not answer, in milliseconds; undefined if it does. */
  readonly silent: number | undefined
  /** Leases issued in a second, and what was issued lately; undefined where it is not known yet. */
  readonly rate: number | undefined
  readonly lately: AcquireMetrics | undefined
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
  const { look } = frame
  if (look === undefined) return [...lines, ...bottom(columns)]
  lines.push(...headOf(frame, look).map(line), "")
  const halves = [topOf("CLIENT", look.byClient), topOf("SECRET", look.bySecret)]
  lines.push(...beside(halves, columns), "")
  const room = rows - lines.length - 3
  if (room > 0 && look.entries.length > 0) {
    const shown = table(["TIME", "", "ACTION", "SECRET", "CLIENT"], look.entries.slice(-room), { width: columns })
    lines.push(...shown.trimEnd().split("\n").map(line))
  }
  return [...lines.slice(0, Math.max(1, rows - 2)), ...bottom(columns)]
}

const bottom = (columns: number): ReadonlyArray<string> => ["", truncate("q ends", columns)]

/** In words, and in the colour that goes with them. */
const stateOf = ({ look, silent }: StatusFrame): readonly [state: string, code: string] => {
  if (silent !== undefined) return [`not answering since ${formatDuration(silent)}`, "31"]
  if (look === undefined) return ["asking", "33"]
  if (look.condition?.failure !== undefined) return [`refusing: ${printable(look.condition.failure)}`, "31"]
  return look.running ? ["serving", "32"] : ["stopping", "33"]
}

const headOf = ({ lately, rate }: StatusFrame, look: StatusSnapshot): ReadonlyArray<string> => {
  const { condition } = look
  const of = (part: number) => (lately === undefined ? undefined : quantile(lately, part))
  return [
    ...(condition === undefined
      ? []
      : [`up ${formatDuration(condition.uptimeMillis)}  ·  process ${condition.pid}  ·  version ${condition.version}`]),
    `secrets ${look.secrets}  ·  active leases ${look.leases}`,
    `acquires ${rate === undefined ? "–" : rate.toFixed(1)}/s  ·  half within ${millis(of(0.5))}  ·  99 % within ${millis(of(0.99))}`,
    ...(condition?.sinks ?? []).map(printable)
  ]
}

const millis = (seconds: number | undefined): string => {
  if (seconds === undefined) return "–"
  return Number.isFinite(seconds) ? `${Number((seconds * 1000).toFixed(1))} ms` : "more than 5 s"
}

const topOf = (head: string, counts: StatusSnapshot["byClient"]): ReadonlyArray<readonly [string, string]> => [
  [head, "LEASES"],
  ...counts.slice(0, topCount).map(([name, count]) => [printable(name), `${count}`] as const)
]

/** Two short tables beside one another. */
const beside = (tables: ReadonlyArray<ReturnType<typeof topOf>>, columns: number): ReadonlyArray<string> => {
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
