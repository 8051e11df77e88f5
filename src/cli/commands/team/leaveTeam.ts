/**
 * secrets team leave: ends the leases and the membership of this machine, and goes back to files.
 *
 * The database ends the membership first. Then the local log ends all leases, so that a start replays none,
 * and the store keeps the secrets of the team or loses them.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { AuditLog } from "../../../daemon/audit/AuditLog.ts"
import { instancePaths } from "../../../daemon/Daemon.ts"
import { StartError } from "../../../daemon/files/fileLock.ts"
import { removeDurably } from "../../../daemon/files/durableFile.ts"
import { holdDirectory } from "../../../daemon/lifecycle/Instance.ts"
import { openStore } from "../../../daemon/secrets/storeFiles.ts"
import { endMembership } from "../../../daemon/team/endMembership.ts"
import { teamMemoryName } from "../../../daemon/team/teamMemory.ts"
import { removeMarks } from "../../../daemon/team/teamStore.ts"
import { teamLeaveFact } from "../../../domain/daemonFacts.ts"
import { revokeAllFacts } from "../../../domain/leaseFacts.ts"
import { withStore } from "../../../domain/storeFacts.ts"
import type { Config } from "../../../domain/Config.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { counted } from "../../../domain/counted.ts"
import { checkOwner } from "../../command/settings.ts"
import { stderrLogger } from "../../command/stderrLogger.ts"
import { startFailure } from "../serve/startFailure.ts"
import type { TeamArgs } from "./teamFlags.ts"
import { databaseFailed, loadTeam, storeFailed, teamError } from "./teamProblems.ts"

export const leaveTeam = Effect.fnUntraced(
  function* (args: TeamArgs) {
    const { config, team } = yield* loadTeam(args)
    yield* checkOwner(config.directory, "team")
    yield* Effect.sync(() => process.umask(0o077))
    yield* Effect.mapError(holdDirectory(instancePaths(config)), startFailure)
    const isAlone = args.flag("without-database")
    const ended = isAlone ? undefined : yield* Effect.mapError(Effect.scoped(endMembership(config, team)), cannotLeave)
    const keep = args.flag("keep-secrets")
    const kept = yield* Effect.mapError(Effect.scoped(goBackToFiles(config, keep)), storeFailed)
    const known = ended === undefined ? "the team had removed this machine" : "this machine has left the team"
    return {
      lines: [
        `${isAlone ? "this machine is in no team any more" : known}; ${counted(ended ?? 0, "lease", "is")} revoked, ${counted(kept, "secret")} kept`,
        ...(isAlone ? [`On another machine of the team, run: secrets team remove ${team.name}`] : []),
        "Remove team from config.json, and start the daemon"
      ],
      result: { revoked: ended ?? 0, kept }
    }
  },
  Effect.scoped,
  Effect.provide(stderrLogger)
)

const cannotLeave = (error: { readonly message: string }) => {
  const what = "this machine cannot leave the team"
  if (error instanceof StartError) return databaseFailed(what)(error)
  const fix = "Have the database answer. If it will not, or the team has removed this machine: --without-database"
  return teamError(what, error.message, fix, exitStatus.unavailable)
}

const goBackToFiles = Effect.fnUntraced(function* (config: Config, keep: boolean) {
  const log = AuditLog.layerOf({ ...config, team: undefined })
  return yield* Effect.gen(function* () {
    const audit = yield* AuditLog
    const files = yield* openStore({ identity: config.identityPath, secrets: config.secretsPath }, { last: undefined })
    const next = removeMarks(files.document(), keep)
    const { hash, write } = yield* files.prepare(next, keep ? "update" : "delete")
    const fact = teamLeaveFact(`back to files, with ${counted(next.secrets.size, "secret")}`)
    yield* audit.append([...revokeAllFacts(0), withStore(fact, hash)])
    yield* write
    yield* audit.recordStore(files.hash())
    yield* removeDurably(path.join(config.directory, teamMemoryName))
    return next.secrets.size
  }).pipe(Effect.provide(log))
})
