/**
 * secrets status --watch: how the daemon is doing, on a screen that is drawn anew.
 *
 * Each look is one connection with a few requests. A daemon that is away or hangs is
 * shown as that, and looked for again; nothing here ends because of it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { RoundTrip } from "../../../rpc/client/roundTrip.ts"
import { roundTrip, requestLine } from "../../../rpc/client/roundTrip.ts"
import type { Shape, Shaped } from "../../../rpc/protocol/shape.ts"
import { matchesShape, optional } from "../../../rpc/protocol/shape.ts"
import { readReply } from "../../../rpc/protocol/reply.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError } from "../../command/CommandError.ts"
import type { AcquireMetrics } from "./acquireMetrics.ts"
import { metricsDelta, parseAcquireMetrics } from "./acquireMetrics.ts"
import { openScreen } from "../../terminal/screen.ts"
import type { StatusFrame, StatusSnapshot } from "./statusFrame.ts"
import { renderFrame } from "./statusFrame.ts"

const statusExample = { running: true, secrets_count: 0, active_leases: 0 }
const conditionExample = {
  pid: 0,
  version: "",
  uptime_ms: 0,
  audit: { failure: optional("") },
  sinks: [{ kind: "", target: optional(""), sent: 0, dropped: 0, queued: 0 }]
}
const metricsExample = { text: "" }
const leasesExample = {
  by_client: [{ client_id: "", count: 0 }],
  by_secret: [{ secret_name: "", count: 0 }]
}
const entriesExample = {
  entries: [
    {
      timestamp: "",
      action: "",
      secret_name: optional(""),
      client_id: optional(""),
      success: true
    }
  ]
}

const lines = [
  requestLine("secrets.status", {}, 1),
  requestLine("daemon.status", {}, 2),
  requestLine("daemon.metrics", {}, 3),
  requestLine("secrets.leases", { limit: 1, top: 5 }, 4),
  requestLine("secrets.audit", { tail: 20 }, 5)
]

export interface WatchOptions {
  readonly socketPath: string
  /** Milliseconds from one look to the next. */
  readonly every: number
  /** Milliseconds after which a look is given up. */
  readonly patience: number
  readonly colour: boolean
}

/** What is kept from one look to the next. */
interface Memory {
  frame: StatusFrame
  heardAt: number
  figures: { readonly at: number; readonly figures: AcquireMetrics } | undefined
}

export const watchStatus = Effect.fnUntraced(function* ({ colour, every, patience, socketPath }: WatchOptions) {
  const screen = yield* openScreen
  const memory: Memory = {
    frame: { socketPath, look: undefined, silent: undefined, rate: undefined, lately: undefined },
    heardAt: yield* Clock.currentTimeMillis,
    figures: undefined
  }
  const draw = Effect.sync(() => screen.draw(renderFrame(memory.frame, { ...screen.size(), colour })))
  const look = Effect.gen(function* () {
    const found = yield* lookOnce(socketPath, patience)
    remember(memory, found, yield* Clock.currentTimeMillis)
    yield* draw
    yield* Effect.sleep(every)
  })
  yield* draw
  const redraw = Effect.forever(Effect.andThen(screen.resized, draw))
  yield* Effect.raceAllFirst([screen.ended, Effect.forever(look), redraw])
  // Whoever presses q has seen enough; it is the usual end, as Ctrl-C is.
  return { text: undefined, result: {} }
}, Effect.scoped)

export const requireTerminal = new CommandError({
  message: "--watch draws on a terminal, and there is none that can be drawn on",
  code: "misuse",
  fix: "Ask again and again instead: secrets status --json",
  exitStatus: exitStatus.usage
})

const lookOnce = (socketPath: string, patience: number) =>
  Effect.callback<RoundTrip>((resume) => {
    const breakOff = roundTrip(socketPath, lines, patience, (outcome) => resume(Effect.succeed(outcome)))
    return Effect.sync(breakOff)
  })

const remember = (memory: Memory, outcome: RoundTrip, now: number): void => {
  const found = outcome._tag === "Replies" ? lookOf(outcome.lines) : undefined
  if (found === undefined) {
    memory.frame = { ...memory.frame, silent: now - memory.heardAt, rate: undefined }
    return
  }
  const { figures, look } = found
  const before = memory.figures
  const gone = metricsDelta(before?.figures, figures)
  const seconds = before === undefined ? undefined : (now - before.at) / 1000
  memory.frame = {
    ...memory.frame,
    look,
    silent: undefined,
    rate: seconds === undefined || seconds <= 0 ? undefined : gone.acquires / seconds,
    // Where nothing was issued since the last look, the whole life of the daemon tells more than nothing.
    lately: before !== undefined && gone.acquires > 0 ? gone : (memory.frame.lately ?? figures)
  }
  memory.heardAt = now
  memory.figures = { at: now, figures }
}

const lookOf = (replies: ReadonlyArray<string>): { look: StatusSnapshot; figures: AcquireMetrics } | undefined => {
  const status = resultOf(replies[0], statusExample)
  if (status === undefined) return undefined
  const condition = resultOf(replies[1], conditionExample)
  const leases = resultOf(replies[3], leasesExample)
  return {
    figures: parseAcquireMetrics(resultOf(replies[2], metricsExample)?.text ?? ""),
    look: {
      running: status.running,
      secrets: status.secrets_count,
      leases: status.active_leases,
      condition: condition && {
        pid: condition.pid,
        version: condition.version,
        uptimeMillis: condition.uptime_ms,
        failure: condition.audit.failure,
        sinks: condition.sinks.map(
          ({ dropped, kind, queued, sent, target }) =>
            `events to ${kind}${target === undefined ? " (not there)" : ""}: ${sent} sent, ${queued} waiting, ${dropped} lost`
        )
      },
      byClient: leases?.by_client.map(({ client_id, count }) => [client_id, count] as const) ?? [],
      bySecret: leases?.by_secret.map(({ count, secret_name }) => [secret_name, count] as const) ?? [],
      entries: (resultOf(replies[4], entriesExample)?.entries ?? []).map((entry) => [
        entry.timestamp.slice(11, 19),
        entry.success ? "" : "FAILED",
        entry.action,
        entry.secret_name ?? "",
        entry.client_id ?? ""
      ])
    }
  }
}

const resultOf = <const T extends Shape>(line: string | undefined, example: T): Shaped<T> | undefined => {
  const reply = readReply(line)
  return reply?.error === undefined && matchesShape(reply?.result, example) ? reply?.result : undefined
}
