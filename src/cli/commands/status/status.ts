/**
 * secrets status: exit status 0 means that the daemon is serving, now. One that is
 * up and has to refuse, because it cannot write its audit log, is not. Where it goes
 * on for a while, `statusSession` sees to it.
 */
import { exitStatus } from "../../../domain/exitStatus.ts"
import type { Shaped } from "../../../rpc/protocol/shape.ts"
import { matchesShape, optional } from "../../../rpc/protocol/shape.ts"
import type { Problem } from "../../command/Output.ts"
import { usageError } from "../../command/Output.ts"
import { defineQuery } from "../../command/QueryCommand.ts"

const statusExample = {
  running: true,
  started_at: "",
  secrets_count: 0,
  active_leases: 0,
  store_state: optional("")
}

/** What only our own daemon tells. */
const conditionExample = {
  pid: 0,
  version: "",
  build: optional(""),
  uptime_ms: 0,
  leases: { expired: 0, unreadable: 0, capacity: 0, oldest: optional("") },
  audit: { entries: 0, size: 0, archives: 0, failure: optional("") },
  sinks: [
    {
      kind: "",
      target: optional(""),
      sent: 0,
      dropped: 0,
      queued: 0,
      last_failure: optional({ at: "", reason: "" })
    }
  ],
  unclean_starts: optional({ count: 0, times: [""], last_reason: "", crash_loop: false })
}
type Condition = Shaped<typeof conditionExample>

export const statusCommand = defineQuery({
  name: "status",
  summary: "Tell whether the daemon is serving",
  positionals: "[SECONDS]",
  arity: [0, 1],
  flags: {
    metrics: { type: "boolean", summary: "print the daemon's figures, as Prometheus reads them" },
    wait: { type: "string", value: "DURATION", summary: "wait so long for it to serve, such as 30s" },
    watch: { type: "boolean", summary: "show it on the whole terminal, anew each second or SECONDS; q ends it" }
  },
  examples: [
    "secrets status",
    "secrets status --json --timeout 2",
    "secrets status --wait 30s && start-worker",
    "secrets status --watch",
    "secrets status --metrics"
  ],
  requests: (args) => {
    const [watch, wait, metrics] = [args.flag("watch"), args.option("wait"), args.flag("metrics")]
    if ([watch, wait !== undefined, metrics].filter((given) => given).length > 1) {
      return usageError("--watch, --wait and --metrics do not go together", "secrets status --help")
    }
    if (args.positionals.length > 0 && !watch) return usageError("SECONDS go with --watch", "secrets status --help")
    if (watch || wait !== undefined) return undefined
    if (metrics) return [{ method: "daemon.metrics", params: {} }]
    return [
      { method: "secrets.status", params: {} },
      { method: "daemon.status", params: {}, optional: true }
    ]
  },
  render: ([found, more], { args, socketPath }) => {
    if (args.flag("metrics")) return matchesShape(found, { text: "" }) ? { text: found.text, result: found } : undefined
    if (!matchesShape(found, statusExample)) return undefined
    const condition = matchesShape(more, conditionExample) ? more : undefined
    const result = { ...found, socket: socketPath, ...condition }
    return {
      text: [
        `running since ${found.started_at}${condition === undefined ? "" : ` (up ${span(condition.uptime_ms)})`}`,
        ...(condition === undefined
          ? []
          : [`process       ${condition.pid}, version ${condition.version}${buildOf(condition)}`]),
        `secrets       ${found.secrets_count}`,
        `active leases ${found.active_leases}`,
        `socket        ${socketPath}`,
        ...(condition === undefined ? [] : remarks(condition)),
        ""
      ].join("\n"),
      result,
      problem: found.running ? refusing(condition?.audit.failure) : stopping
    }
  }
})

const stopping: Problem = {
  message: "the daemon is stopping",
  code: "daemon_unavailable",
  fix: "Wait until it is gone, then start it with: secrets serve",
  exitStatus: exitStatus.unavailable
}

const refusing = (why: string | undefined): Problem | undefined =>
  why === undefined
    ? undefined
    : {
        message: "the daemon is up but refuses leases and changes",
        why,
        code: "io_error",
        fix: "It goes on by itself when the cause is gone",
        exitStatus: exitStatus.failed
      }

/** A daemon of another build than this one may be the older of two that have the same version. */
const buildOf = ({ build }: Condition): string => (build === undefined ? "" : ` (build ${build})`)

/** Where events go, and what somebody should look at. */
const remarks = ({ leases, sinks, unclean_starts: unclean }: Condition): ReadonlyArray<string> =>
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
