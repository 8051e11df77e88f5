/**
 * secrets audit --verify --team: compares the chains of all machines with the copy of this one, with each other and
 * with the leases. --repair puts back what the database has lost of this machine; the daemon does that at each start too.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { AuditLog } from "../../../daemon/audit/AuditLog.ts"
import { readForwards } from "../../../daemon/audit/verifyAuditLog.ts"
import { instancePaths } from "../../../daemon/Daemon.ts"
import { holdDirectory } from "../../../daemon/lifecycle/Instance.ts"
import { Team } from "../../../daemon/team/Team.ts"
import { teamLayers } from "../../../daemon/team/teamFaces.ts"
import { type TeamFinding, TeamVerifier } from "../../../daemon/team/TeamVerifier.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import type { Output } from "../../command/Output.ts"
import { stderrLogger } from "../../command/stderrLogger.ts"
import { table } from "../../terminal/table.ts"
import { startFailure } from "../serve/startFailure.ts"
import { type AskTeam, openBesideDaemon } from "../team/besideDaemon.ts"
import { databaseFailed, loadTeam } from "../team/teamProblems.ts"
import type { GlobalArgs } from "../../command/settingsFile.ts"
import { unreadableLog } from "./verify.ts"

const Heads = Schema.Array(
  Schema.Struct({
    name: Schema.String,
    seq: Schema.Number,
    hash: Schema.String,
    base_seq: Schema.Number,
    base_hash: Schema.String
  })
)
type Stated = (typeof Heads.Type)[number]

export const auditVerifyTeam = Effect.fnUntraced(
  function* (args: GlobalArgs, isRepair: boolean) {
    if (isRepair) yield* repair(args)
    const { ask, config, list, team } = yield* openBesideDaemon(args)
    // Before the database: audit.log is its copy, and must not be ahead because it was read later.
    const copy: Array<string> = []
    const take = (line: Buffer) => void copy.push(line.toString("utf8", 0, line.length - 1))
    yield* Effect.mapError(readForwards(config.auditPath, take, Effect.void), unreadableLog)
    const verifier = new TeamVerifier(team.name, list)
    const heads = yield* ask("read_1", { what: "heads" }, Heads)
    const removals = yield* ask("read_1", { what: "removals" }, Schema.Record(Schema.String, Schema.Number))
    const leases = yield* ask("read_1", { what: "all_leases" }, Schema.Array(Schema.String))
    for (const stated of heads) yield* readChain(ask, verifier, stated, removals[stated.name])
    verifier.compareCopy(copy)
    const findings = verifier.end(new Set(leases), yield* Clock.currentTimeMillis)
    return reportOf(
      heads.map(({ name }) => ({ name, entries: verifier.entriesOf(name) })),
      findings
    )
  },
  Effect.scoped,
  Effect.provide(stderrLogger)
)

/** Passes a chain on, up to the head that the database stated before. */
const readChain = Effect.fnUntraced(function* (
  ask: AskTeam,
  verifier: TeamVerifier,
  { base_hash, base_seq, hash, name, seq }: Stated,
  removed: number | undefined
) {
  verifier.begin({ name, base: { seq: base_seq, hash: base_hash }, head: { seq, hash }, removed })
  for (let after = base_seq; after < seq;) {
    const lines = yield* ask("read_1", { what: "lines", of: name, after }, Schema.Array(Schema.String))
    for (const line of lines.slice(0, seq - after)) verifier.add(name, line)
    if (lines.length === 0) return
    after += lines.length
  }
})

/** Does in place of the daemon what it does at a start: enters, and puts back what is missing. A fork is left to the report. */
const repair = Effect.fnUntraced(function* (args: GlobalArgs) {
  const { config, team } = yield* loadTeam(args)
  yield* Effect.mapError(holdDirectory(instancePaths(config)), startFailure)
  const failed = databaseFailed("the chain of this machine is not repaired")
  const context = yield* Effect.mapError(Layer.build(teamLayers(config, team)), failed)
  const enter = Effect.gen(function* () {
    const [audit, own] = [yield* AuditLog, yield* Team]
    yield* Effect.catchIf(
      audit.append([]),
      () => own.state()._tag === "Stopped",
      () => Effect.void
    )
  })
  yield* Effect.mapError(Effect.provide(enter, context), failed)
}, Effect.scoped)

const reportOf = (
  machines: ReadonlyArray<{ readonly name: string; readonly entries: number }>,
  findings: ReadonlyArray<TeamFinding>
): Output => {
  const rows = machines.flatMap(({ entries, name }) => {
    const own = findings.filter(({ machine }) => machine === name)
    return own.length === 0 ? [[name, `WHOLE ${entries}`, ""]] : own.map(({ kind, message }) => [name, kind, message])
  })
  const ofAll = findings.filter(({ machine }) => machine === "").map(({ kind, message }) => ["", kind, message])
  return {
    lines: table(["MACHINE", "VERDICT", ""], [...rows, ...ofAll], { whole: ["VERDICT"], sentences: [""] }),
    result: { verified: findings.length === 0, machines, findings },
    problem:
      findings.length === 0
        ? undefined
        : {
            message: `the logs of the team are not whole: ${[...new Set(findings.map(({ kind }) => kind))].join(", ")}`,
            code: "data_error",
            fix: findings.every(({ kind }) => kind === "BEHIND")
              ? "Stop the daemon, and put the entries back: secrets audit --verify --team --repair"
              : "Compare the database with a backup, and see docs/teams.md",
            exitStatus: exitStatus.failed
          }
  }
}
