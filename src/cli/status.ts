/**
 * secrets status: exit status 0 means that the daemon is serving, now. One that is
 * up and has to refuse, because it cannot write its audit log, is not.
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { fromText, lastRunInWords, runsFileName } from "../domain/runHistory.ts"
import { parse } from "../domain/Timestamp.ts"
import { call, type ClientError } from "../rpc/client.ts"
import { define } from "./Command.ts"
import { exitCode } from "./exitCode.ts"
import { Failure, fromClient } from "./Failure.ts"
import { loadConfig, loadDaemon } from "./settings.ts"

const Status = Schema.Struct({
  running: Schema.Boolean,
  started_at: Schema.String,
  secrets_count: Schema.Int,
  active_leases: Schema.Int,
  store_state: Schema.optionalKey(Schema.String)
})

/** What only our own daemon tells. */
const Condition = Schema.Struct({
  pid: Schema.Int,
  version: Schema.String,
  leases: Schema.Struct({
    expired: Schema.Int,
    unreadable: Schema.Int,
    capacity: Schema.Int,
    oldest: Schema.optionalKey(Schema.String)
  }),
  audit: Schema.Struct({
    entries: Schema.Int,
    size: Schema.Int,
    archives: Schema.Int,
    failure: Schema.optionalKey(Schema.String)
  }),
  sinks: Schema.Array(
    Schema.Struct({
      kind: Schema.String,
      target: Schema.optionalKey(Schema.String),
      sent: Schema.Int,
      dropped: Schema.Int,
      queued: Schema.Int,
      last_failure: Schema.optionalKey(Schema.Struct({ at: Schema.String, reason: Schema.String }))
    })
  ),
  unclean_starts: Schema.optionalKey(
    Schema.Struct({
      count: Schema.Int,
      times: Schema.Array(Schema.String),
      last_reason: Schema.String,
      crash_loop: Schema.Boolean
    })
  )
})

const Metrics = Schema.Struct({ text: Schema.String })

export const status = define({
  name: "status",
  summary: "Tell whether the daemon is serving",
  arity: [0, 0],
  flags: { metrics: { type: "boolean", summary: "print the daemon's figures, as Prometheus reads them" } },
  examples: ["secrets status", "secrets status --json --timeout 2", "secrets status --metrics"],
  run: Effect.fnUntraced(function* (line) {
    const daemon = yield* loadDaemon(line)
    if (line.given("metrics")) {
      const metrics = yield* Effect.mapError(call(daemon, "daemon.metrics", {}, Metrics), fromClient)
      return { text: metrics.text, result: metrics }
    }
    const found = yield* call(daemon, "secrets.status", {}, Status).pipe(
      Effect.catch((error) =>
        Effect.flatMap(isAway(error) ? lastRun(line) : Effect.succeed(undefined), (words) => {
          const failure = fromClient(error)
          const message = words === undefined ? failure.message : `${failure.message}; ${words}`
          return Effect.fail(new Failure({ ...failure, message }))
        })
      )
    )
    if (!found.running) {
      return yield* new Failure({
        message: "the daemon is stopping",
        code: "daemon_unavailable",
        fix: "Wait until it is gone, then start it with: secrets serve",
        exitCode: exitCode.unavailable
      })
    }
    const now = DateTime.toEpochMillis(yield* DateTime.now)
    const up = Option.match(parse(found.started_at), {
      onNone: () => "",
      onSome: (at) => ` (up ${span(now - at.millis)})`
    })
    const more = Option.getOrUndefined(yield* Effect.option(call(daemon, "daemon.status", {}, Condition)))
    return {
      text: [
        `running since ${found.started_at}${up}`,
        ...(more === undefined ? [] : [`process       ${more.pid}, version ${more.version}`]),
        `secrets       ${found.secrets_count}`,
        `active leases ${found.active_leases}`,
        `socket        ${daemon.socketPath}`,
        ...(more === undefined ? [] : remarks(more)),
        ""
      ].join("\n"),
      result: { ...found, socket: daemon.socketPath, ...more },
      failure: more?.audit.failure === undefined ? undefined : refusing(more.audit.failure)
    }
  })
})

const isAway = (error: ClientError): boolean => error._tag === "DaemonUnavailable" && error.code !== "EACCES"

/** How the last run ended, as its daemon wrote it down for somebody who finds none. */
const lastRun = Effect.fnUntraced(function* (line: Parameters<typeof loadConfig>[0]) {
  const { directory } = yield* loadConfig(line)
  const text = yield* Effect.orElseSucceed(
    Effect.tryPromise(() => fs.readFile(path.join(directory, runsFileName), "utf8")),
    () => ""
  )
  return Option.getOrUndefined(Option.map(fromText(text), lastRunInWords))
})

const refusing = (why: string): Failure =>
  new Failure({
    message: `the daemon is up but refuses leases and changes: ${why}`,
    code: "io_error",
    fix: "It goes on by itself when the cause is gone",
    exitCode: exitCode.failed
  })

/** Where events go, and what somebody should look at. */
const remarks = ({ leases, sinks, unclean_starts: unclean }: typeof Condition.Type): ReadonlyArray<string> =>
  [
    ...sinks.map(({ dropped, kind, last_failure: failure, sent, target }) =>
      [
        `events        ${kind}${target === undefined ? " is not there" : ` through ${target}`}, ${sent} sent`,
        dropped === 0 ? "" : `, ${dropped} lost`,
        failure === undefined ? "" : `, last failure ${failure.at}: ${failure.reason}`
      ].join("")
    ),
    unclean === undefined
      ? ""
      : `crashes       ${unclean.crash_loop ? "a crash loop, " : ""}${unclean.count} starts within a day after runs that did not end in order, the last ${unclean.times.at(-1)}: ${unclean.last_reason}`,
    leases.expired === 0 ? "" : `expired       ${leases.expired} leases whose end is not recorded yet`,
    leases.unreadable === 0
      ? ""
      : `unreadable    ${leases.unreadable} leases were set aside at the start: secrets audit`
  ].filter((line) => line !== "")

/** Whole minutes, hours and days: `3m`, `1h 3m`, `2d 1h 3m`. */
const span = (millis: number): string => {
  const minutes = Math.floor(millis / 60_000)
  const parts = [
    [Math.floor(minutes / 1440), "d"],
    [Math.floor(minutes / 60) % 24, "h"]
  ].filter(([count]) => count !== 0)
  return [...parts.map(([count, unit]) => `${count}${unit}`), `${minutes % 60}m`].join(" ")
}
