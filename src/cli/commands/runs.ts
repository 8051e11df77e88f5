/**
 * secrets runs: the programs that run with values now, also after their leases ended.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { counted } from "../../domain/counted.ts"
import { call, type DaemonAddress } from "../../rpc/client/client.ts"
import { optional, type Shaped } from "../../domain/shape.ts"
import { type ArgsOf, defineCommand } from "../command/Command.ts"
import { failUsage, fromClient } from "../command/CommandError.ts"
import { loadDaemon } from "../command/settings.ts"
import { printsToTerminal } from "../terminal/isInteractive.ts"
import { openScreen } from "../terminal/screen.ts"
import { table } from "../terminal/table.ts"
import { ageOf, shortId } from "../terminal/times.ts"

/** The reply to runs.list. */
export const runsExample = {
  runs: [
    {
      run_id: "",
      client_id: "",
      program: optional(""),
      pid: optional(0),
      via: optional(""),
      secrets: [""],
      begun_at: "",
      leases: 0,
      leases_active: 0,
      told: optional(""),
      told_at: optional("")
    }
  ],
  total: 0,
  unwatched: optional(0)
}
export type ListedRun = Shaped<typeof runsExample>["runs"][number]

const flags = {
  "client-id": { type: "string", value: "ID", summary: "only programs of this client", completes: "client" },
  secret: { type: "string", value: "NAME", summary: "only programs that were given this secret", completes: "secret" },
  watch: { type: "boolean", summary: "show them on the whole screen, and refresh each second" }
} as const

export const runsCommand = defineCommand({
  name: "runs",
  summary: "Show the programs that run with values",
  arity: [0, 0],
  flags,
  examples: ["secrets runs", "secrets runs --secret github_token", "secrets runs --watch"],
  about:
    "secrets exec registers the program that it starts, from its start to its end. A value outlives its lease: " +
    "LEASES counts those of its secrets that have one still.\n\n" +
    "A revoke, the killswitch, a lock and a deletion reach these programs, and NOTICE is the last of them. " +
    "End those of a client with: secrets revoke --client-id ID.",
  run: Effect.fnUntraced(function* (args) {
    const daemon = yield* loadDaemon(args)
    if (args.flag("watch")) return yield* watchRuns(args, daemon)
    const { unwatched = 0, ...found } = yield* query(args, daemon)
    const { runs, total } = found
    return {
      lines: [...(yield* describe(runs, total)), ...unwatchedLine(unwatched)],
      result: { runs, count: runs.length, total, unwatched }
    }
  })
})

/** Names the programs that no run is of: they were hidden, or their starter was killed. */
export const unwatchedLine = (count: number): ReadonlyArray<string> =>
  count === 0
    ? []
    : [
        `${counted(count, "program", "is")} not known to have ended, and cannot be reached: secrets exposure --client-id '*'`
      ]

const query = (args: ArgsOf<typeof flags>, daemon: DaemonAddress) =>
  Effect.mapError(
    call(daemon, "runs.list", { client_id: args.option("client-id"), secret_name: args.option("secret") }, runsExample),
    fromClient
  )

const describe = Effect.fnUntraced(function* (runs: ReadonlyArray<ListedRun>, total: number) {
  if (runs.length === 0) return ["no program runs with values"]
  const now = yield* Clock.currentTimeMillis
  const rows = runs.map((run) => [
    printsToTerminal() ? shortId(run.run_id) : run.run_id,
    run.client_id,
    run.program ?? "-",
    run.pid === undefined ? "-" : `${run.pid}`,
    run.secrets.join(", "),
    ageOf(run.begun_at, now),
    `${run.leases_active} of ${run.leases}`,
    run.told === undefined || run.told_at === undefined ? "-" : `${run.told} ${ageOf(run.told_at, now)} ago`
  ])
  const left = total - runs.length
  return [
    ...table(["RUN", "CLIENT", "PROGRAM", "PID", "SECRETS", "SINCE", "LEASES", "NOTICE"], rows, {
      whole: ["RUN", "PID", "SINCE", "LEASES", "NOTICE"]
    }),
    ...(left === 0 ? [] : [`${left} older ones are not shown`])
  ]
})

/** Between two refreshes. */
const interval = "1 second"

const watchRuns = Effect.fnUntraced(function* (args: ArgsOf<typeof flags>, daemon: DaemonAddress) {
  if (!process.stdout.isTTY || process.env["TERM"] === "dumb" || args.flag("json"))
    return yield* failUsage("--watch requires an interactive terminal", "Poll instead: secrets runs --json")
  const screen = yield* openScreen
  let lines: ReadonlyArray<string> = []
  const draw = Effect.sync(() => screen.draw([...lines.slice(0, screen.size().rows - 2), "", "q quits"]))
  const read = Effect.matchEffect(query(args, daemon), {
    onFailure: ({ message }) => Effect.succeed([message]),
    onSuccess: ({ runs, total, unwatched = 0 }) =>
      Effect.map(describe(runs, total), (shown) => [...shown, ...unwatchedLine(unwatched)])
  })
  const refresh = Effect.gen(function* () {
    lines = yield* read
    yield* draw
    yield* Effect.sleep(interval)
  })
  const redraw = Effect.forever(Effect.andThen(screen.resized, draw))
  yield* Effect.raceAllFirst([screen.ended, Effect.forever(refresh), redraw])
  return { result: {} }
}, Effect.scoped)
