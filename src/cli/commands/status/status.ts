/**
 * secrets status: exit status 0 means that the daemon is serving now. A daemon that
 * runs but rejects changes, because it cannot write its audit log, is not serving.
 * `--wait` and `--watch` continue in statusSession.ts.
 */
import { build, version } from "../../../version.ts"
import { counted } from "../../../domain/counted.ts"
import { needsRestart } from "../../../domain/needsRestart.ts"
import { escapeValue, escapeMetrics } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { type Shaped, matchesShape, optional } from "../../../domain/shape.ts"
import { lockedRefusal } from "../../command/lockedRefusal.ts"
import { type Problem, usageError } from "../../command/Output.ts"
import { defineQuery } from "../../command/QueryCommand.ts"
import { formatDuration } from "../../terminal/formatDuration.ts"

export const statusExample = {
  running: true,
  started_at: "",
  secrets_count: 0,
  active_leases: 0,
  store_state: optional(""),
  locked_since: optional("")
}

/** The result of daemon.status, which the predecessor does not have. */
export const diagnosticsExample = {
  pid: 0,
  version: "",
  build: optional(""),
  team: optional(""),
  proxy: optional({ routes: 0, runs: 0, worker_pid: optional(0) }),
  uptime_ms: 0,
  leases: { expired: 0, unreadable: 0, capacity: 0, oldest: optional("") },
  audit: {
    entries: 0,
    size: 0,
    archives: 0,
    failure: optional(""),
    findings: optional([""]),
    adopted: optional([""])
  },
  store: optional({ failure: optional("") }),
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
/** What every role gets of it; an older daemon has neither member. */
const roleExample = { role: "", sockets: optional([{ path: "", role: "", mode: "" }]) }
type RoleStatus = Shaped<typeof roleExample>

type Diagnostics = Shaped<typeof diagnosticsExample>

export const statusCommand = defineQuery({
  name: "status",
  summary: "Show whether the daemon is serving",
  positionals: "[SECONDS]",
  arity: [0, 1],
  flags: {
    metrics: { type: "boolean", summary: "print the daemon's metrics in Prometheus text format" },
    wait: { type: "string", value: "DURATION", summary: "wait up to this long until it is serving, such as 30s" },
    watch: { type: "boolean", summary: "show the status full-screen, refreshed every SECONDS (1); q quits" }
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
      return usageError("--watch, --wait and --metrics exclude each other", "Use one of them")
    }
    if (args.positionals.length > 0 && !watch)
      return usageError("SECONDS requires --watch", "For example: secrets status --watch 2")
    if (watch || wait !== undefined) return undefined
    if (metrics) return [{ method: "daemon.metrics", params: {} }]
    return [
      { method: "secrets.status", params: {} },
      { method: "daemon.status", params: {}, optional: true }
    ]
  },
  reportsAbsence: true,
  render: ([found, more], { args, socketPath }) => {
    if (args.flag("metrics"))
      return matchesShape(found, { text: "" }) ? { verbatim: escapeMetrics(found.text), result: found } : undefined
    if (!matchesShape(found, statusExample)) return undefined
    const diagnostics = matchesShape(more, diagnosticsExample) ? more : undefined
    const status = matchesShape(more, roleExample) ? more : undefined
    const uptime = diagnostics === undefined ? "" : ` (up ${formatDuration(diagnostics.uptime_ms)})`
    return {
      lines: [
        `running since ${found.started_at}${uptime}`,
        ...(diagnostics === undefined
          ? []
          : [`process       ${diagnostics.pid}, version ${diagnostics.version}${buildOf(diagnostics)}`]),
        ...otherVersion(diagnostics ?? (status === undefined ? undefined : {})),
        `secrets       ${found.secrets_count}`,
        `active leases ${found.active_leases}`,
        ...(diagnostics?.team === undefined ? [] : [`team          ${escapeValue(diagnostics.team)}`]),
        ...socketLines(socketPath, status),
        ...proxyLine(diagnostics?.proxy),
        ...(found.locked_since === undefined ? [] : [`locked        since ${found.locked_since}`]),
        ...(diagnostics === undefined ? [] : details(diagnostics))
      ],
      result: { ...found, socket: socketPath, ...(diagnostics ?? status) },
      problem: found.running ? (rejecting(diagnostics?.audit.failure) ?? locked(found.locked_since)) : stopping
    }
  }
})

const proxyLine = (proxy: Diagnostics["proxy"]): ReadonlyArray<string> =>
  proxy === undefined
    ? []
    : [
        `proxy         ${counted(proxy.routes, "route")}, ${counted(proxy.runs, "run")}` +
          (proxy.worker_pid === undefined ? "" : `, worker ${proxy.worker_pid}`)
      ]

/** Names the socket that was used, with its role, and lists all if there are several. */
const socketLines = (socketPath: string, { role, sockets = [] }: Partial<RoleStatus> = {}): ReadonlyArray<string> => [
  `socket        ${escapeValue(socketPath)}${role === undefined ? "" : `, your role: ${escapeValue(role)}`}`,
  ...(sockets.length > 1 ? sockets.map((one) => `  ${one.role.padEnd(10)}  ${one.mode}  ${one.path}`) : []).map(
    escapeValue
  )
]

const stopping: Problem = {
  message: "the daemon is stopping",
  code: "daemon_unavailable",
  fix: "Wait until it has stopped, then start it with: secrets serve",
  exitStatus: exitStatus.unavailable
}

const rejecting = (why: string | undefined): Problem | undefined =>
  why === undefined
    ? undefined
    : {
        message: "the daemon is up but rejects leases and changes",
        why,
        code: "io_error",
        fix: why.endsWith(needsRestart)
          ? "Fix the cause, then: secrets daemon restart"
          : "Fix the cause; the daemon then continues by itself",
        exitStatus: exitStatus.failed
      }

const locked = (since: string | undefined): Problem | undefined =>
  since === undefined ? undefined : { message: "the store is locked", code: "StoreLocked", ...lockedRefusal }

/** Returns a line if the daemon is of another version than this command; the predecessor does not report its own. */
const otherVersion = (daemon: { readonly version?: string; readonly build?: string | undefined } | undefined) => {
  if (daemon !== undefined && (daemon.version ?? version) === version && (daemon.build ?? build) === build) return []
  const older = daemon === undefined ? "; the daemon is older" : ""
  return [`command       version ${version} (build ${build})${older}; restart the daemon to serve with it`]
}

/** Returns what identifies the build, which the version alone does not. */
const buildOf = ({ build }: Diagnostics): string => (build === undefined ? "" : ` (build ${build})`)

/** Returns why a sink has no target: no variable or setting of the collector is usable, or joelclaw was not found. */
export const absentSink = (kind: string): string => (kind === "otlp" ? "exports nothing" : "is not installed")

/** Lists the event sinks and what needs attention. */
const details = ({ audit, leases, sinks, store, unclean_starts: unclean }: Diagnostics): ReadonlyArray<string> =>
  [
    store?.failure === undefined ? "" : `store         rejects changes: ${store.failure}`,
    ...sinks.map(({ dropped, kind, last_failure: failure, sent, target }) =>
      [
        `events        ${kind}${target === undefined ? ` ${absentSink(kind)}` : ` through ${target}`}, ${sent} sent`,
        dropped === 0 ? "" : `, ${dropped} lost`,
        failure === undefined ? "" : `, last failure ${failure.at}: ${failure.reason}`
      ].join("")
    ),
    unclean === undefined
      ? ""
      : `crashes       ${unclean.crash_loop ? "crash loop; " : ""}${counted(unclean.count, "unclean start")} within a day, the last at ${unclean.times.at(-1)}: ${unclean.last_reason}`,
    ...(audit.adopted ?? []).map((adopted) => `adopted       ${adopted}`),
    ...(audit.findings ?? []).map((finding) => `audit         ${finding}; see: secrets audit --verify`),
    leases.expired === 0 ? "" : `expired       ${counted(leases.expired, "lease", "is")} not yet recorded as expired`,
    leases.unreadable === 0
      ? ""
      : `unreadable    ${counted(leases.unreadable, "lease", "was")} set aside at the start; see: secrets audit`
  ].filter((line) => line !== "")
