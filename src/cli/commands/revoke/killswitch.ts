/**
 * secrets revoke --all: the killswitch, and which values are outside nevertheless.
 *
 * The first line of the output is all that it was before; the rest is for the person.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { call, callLong, type DaemonAddress, sharedTimeout } from "../../../rpc/client/client.ts"
import type { MethodName } from "../../../rpc/protocol/methods.ts"
import { optional, type Shape, type Shaped } from "../../../domain/shape.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { counted } from "../../../domain/counted.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { noticeWhenLate } from "../../command/noticeWhenLate.ts"
import { CommandError, failDeclined, fromClient } from "../../command/CommandError.ts"
import { runsExample, unwatchedLine } from "../runs.ts"
import { awaitRuns, describeRuns, runsResult, stillRunning } from "./awaitRuns.ts"
import { type RevokeArgs, runsReached } from "./revoke.ts"
import { loadDaemon } from "../../command/settings.ts"
import { confirm } from "../../terminal/askOnTerminal.ts"
import { isInteractive } from "../../terminal/isInteractive.ts"
import { table } from "../../terminal/table.ts"
import { shownTime } from "../../terminal/times.ts"

const reportExample = {
  success: true,
  leases_revoked: optional(0),
  rotated: [""],
  secrets_wiped: optional(0),
  failures: [""],
  ...runsReached
}
const statusExample = { secrets_count: 0 }
const handedOutExample = {
  secrets: [{ secret_name: "", leases: 0, last_leased_at: "" }],
  total: 0,
  complete: true,
  unwatched: optional(0)
}
type HandedOutReply = Shaped<typeof handedOutExample>

/** Rotating everything may take as long as all rotation commands together. */
const rotationTimeout = Duration.minutes(30)

export const pullKillswitch = Effect.fnUntraced(function* (args: RevokeArgs, wait: number) {
  const address = yield* loadDaemon(args)
  const [rotate, wipe] = [args.flag("rotate"), args.flag("wipe")]
  if (wipe && !args.flag("yes") && isInteractive()) yield* askBeforeWipe(address)
  const params = { rotate_all: rotate, wipe_store: wipe, report_runs: true }
  const rest = yield* sharedTimeout(address)
  const pulled = rotate
    ? callLong(address, rotationTimeout, "secrets.killswitch", params, reportExample).pipe(
        noticeWhenLate(rest, "secrets revoke: rotating")
      )
    : call(address, "secrets.killswitch", params, reportExample)
  const report = yield* Effect.mapError(pulled, fromClient)
  const done = [
    report.leases_revoked === undefined ? [] : [`revoked ${counted(report.leases_revoked, "lease")}`],
    rotate ? [`rotated ${counted(report.rotated.length, "secret")}`] : [],
    report.secrets_wiped === undefined ? [] : [`wiped ${counted(report.secrets_wiped, "secret")}`]
  ].flat()
  if (!report.success) {
    return yield* new CommandError({
      message: [...done, ...report.failures.map((failure) => `FAILED ${failure}`)].join("; "),
      code: "generic_error",
      fix: "Fix the cause and run it again. Completed steps stay done",
      exitStatus: exitStatus.failed
    })
  }
  // The leases are revoked already, so a failure here must not look like one of theirs.
  const outside = yield* handedOut(yield* rest)
  const runs = yield* awaitRuns(yield* rest, report, wait)
  return {
    lines: [
      done.join("; "),
      ...describeRuns(runs),
      ...unwatchedLine(outside?.unwatched ?? 0),
      ...describe(outside, yield* Clock.currentTimeMillis)
    ],
    problem: stillRunning(runs),
    result: {
      leases_revoked: report.leases_revoked,
      ...(rotate ? { rotated: report.rotated } : {}),
      ...(wipe ? { secrets_wiped: report.secrets_wiped } : {}),
      ...(outside === undefined
        ? {}
        : { handed_out: outside.secrets, handed_out_complete: outside.complete, unwatched: outside.unwatched }),
      ...(runs.notified === 0 ? {} : runsResult(runs))
    }
  }
})

const handedOut = (daemon: DaemonAddress) =>
  Effect.orElseSucceed(call(daemon, "secrets.handedOut", {}, handedOutExample), () => undefined)

const leasesExample = { total: 0, by_client: optional([{ client_id: "", count: 0 }]) }
const secretsExample = { secrets: [{ name: "", rotate_via: optional("") }] }

/** Returns what the killswitch would do now. */
export const drillKillswitch = Effect.fnUntraced(function* (args: RevokeArgs) {
  const daemon = yield* loadDaemon(args)
  const ask = <const T extends Shape>(method: MethodName, params: object, example: T) =>
    Effect.mapError(call(daemon, method, params, example), fromClient)
  const [leases, { runs, total }, { secrets }, outside] = yield* Effect.all(
    [
      ask("secrets.leases", { limit: 1, top: 100 }, leasesExample),
      ask("runs.list", {}, runsExample),
      ask("secrets.list", { every: true }, secretsExample),
      handedOut(daemon)
    ],
    { concurrency: "unbounded" }
  )
  const clients = (leases.by_client ?? []).map(({ client_id }) => client_id)
  const rotated = args.flag("rotate")
    ? secrets.filter((one) => one.rotate_via !== undefined).map(({ name }) => name)
    : []
  const wiped = args.flag("wipe") ? secrets.map(({ name }) => name) : []
  const programs = runs.map(({ client_id, program = "a program" }) => `${program} of ${client_id}`)
  return {
    lines: [
      "this is a drill: nothing is changed",
      ...would("revoke", leases.total, "lease", clients),
      ...would("notify", total, "program", programs),
      ...(args.flag("rotate") ? would("rotate", rotated.length, "secret", rotated) : []),
      ...(args.flag("wipe") ? would("wipe", wiped.length, "secret", wiped) : []),
      ...describe(outside, yield* Clock.currentTimeMillis)
    ],
    result: { drill: true, leases: leases.total, clients, programs: runs, rotated, wiped, handed_out: outside?.secrets }
  }
})

/** Names in one line. */
const maxNames = 10

const would = (what: string, count: number, unit: string, names: ReadonlyArray<string>): ReadonlyArray<string> => {
  if (count === 0) return [`it would ${what} no ${unit}`]
  const shown = names.slice(0, maxNames).map(escapeValue)
  const more = names.length > shown.length ? [`and ${names.length - shown.length} more`] : []
  return [`it would ${what} ${counted(count, unit)}: ${[...shown, ...more].join(", ")}`]
}

const askBeforeWipe = Effect.fnUntraced(function* (address: DaemonAddress) {
  const { secrets_count } = yield* Effect.mapError(call(address, "secrets.status", {}, statusExample), fromClient)
  const isSure = yield* confirm(
    `Wipe all ${counted(secrets_count, "secret")}? There is no way back: the store and its backup are removed`
  )
  if (!isSure) return yield* failDeclined("nothing was revoked or wiped")
})

/** Rows that fit on a screen with what is above them. */
const maxRows = 40

const describe = (outside: HandedOutReply | undefined, now: number): ReadonlyArray<string> => {
  const holders = "in programs that hold them, in .env files"
  const warning = `Values that were handed out still work: ${holders} (secrets cleanup --all removes those).`
  if (outside === undefined) return [`${warning} Which ones: secrets audit --action lease_acquire`]
  const { complete, secrets, total } = outside
  const older = complete ? [] : ["There may be others: secrets exposure --client-id '*' says why."]
  if (secrets.length === 0) return older
  const rows = secrets
    .slice(0, maxRows)
    .map(({ last_leased_at, leases, secret_name }) => [secret_name, `${leases}`, shownTime(last_leased_at, now)])
  const more = total > rows.length ? [`and ${total - rows.length} more: secrets revoke --all --json`] : []
  return [
    warning,
    "Rotate these at their providers; they were leased since they last changed:",
    "",
    ...table(["SECRET", "LEASES", "LAST"], rows, { whole: ["LEASES", "LAST"] }),
    ...more,
    ...older
  ]
}
