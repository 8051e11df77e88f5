/**
 * secrets lock: no lease and no change until a person unlocks the store.
 *
 * In an emergency the daemon may be down; then the next one starts locked.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { call, type ClientError } from "../../../rpc/client/client.ts"
import { literal, optional } from "../../../domain/shape.ts"
import { counted } from "../../../domain/counted.ts"
import { defineCommand } from "../../command/Command.ts"
import { killCommand, lockFileOf } from "../../command/absence.ts"
import { CommandError, fromClient } from "../../command/CommandError.ts"
import { checkOwner, loadConfig, loadDaemon } from "../../command/settings.ts"
import type { GlobalArgs } from "../../command/settingsFile.ts"

const lockedExample = {
  locked: literal(true),
  locked_since: "",
  already: true,
  rotating: true,
  active_leases: 0,
  run_ids: optional([""])
}

/** A daemon that is not running is not worth a wait: the store can be locked without it. */
const graceForDaemon = Duration.seconds(1)

export const lockCommand = defineCommand({
  name: "lock",
  summary: "Stop everything: no lease and no change until it is unlocked",
  arity: [0, 0],
  flags: {},
  examples: ["secrets lock"],
  about: [
    "The daemon forgets the key and the values, also over a restart. Without a daemon, the next one starts locked.",
    "It ends the programs that run under `secrets exec`, unless their --on-revoke says otherwise. It ends no other lease and " +
      "takes no value back: values that were handed out still work. `secrets revoke --all` ends the leases and lists what to " +
      "rotate; it works while the store is locked, and so does --wipe."
  ].join("\n\n"),
  run: Effect.fnUntraced(function* (args) {
    const address = yield* loadDaemon(args)
    const daemon = args.option("timeout") === undefined ? { ...address, timeout: graceForDaemon } : address
    const asked = call(daemon, "secrets.lock", { report_runs: true }, lockedExample)
    // Another socket may be that of another store than the one in config.json.
    const mayLockHere = args.option("socket") === undefined
    const locked = yield* asked.pipe(
      Effect.catchTag("DaemonUnavailable", (fault) =>
        mayLockHere && fault.code !== "EACCES" && fault.code !== "EPERM"
          ? Effect.succeed(undefined)
          : Effect.fail(fault)
      ),
      Effect.catch((fault) => lockFailure(args, daemon.socketPath, fault))
    )
    if (locked !== undefined) {
      const { active_leases: active, already, locked_since: since, rotating, run_ids: runs = [], ...rest } = locked
      return {
        lines: [
          `locked${already ? ` since ${since}` : ""}: no lease and no change until secrets unlock`,
          `active leases: ${active}; values that were handed out still work. End them and see what to rotate: secrets revoke --all`,
          ...(runs.length === 0
            ? []
            : [`${counted(runs.length, "program")} with values notified; see which still run: secrets runs`]),
          ...(rotating ? ["A rotation command is running; the key leaves the memory when it has ended"] : [])
        ],
        result: {
          ...rest,
          locked_since: since,
          already,
          rotating,
          active_leases: active,
          programs_notified: runs.length
        }
      }
    }
    const config = yield* loadConfig(args)
    yield* checkOwner(config.directory, "secrets lock")
    const { lockWithoutDaemon } = yield* Effect.promise(() => import("./lockWithoutDaemon.ts"))
    const { already, since } = yield* lockWithoutDaemon(config)
    return {
      lines: [
        `locked${already ? ` since ${since}` : ""}: no daemon is running, and the next one starts locked`,
        "Values that were handed out still work"
      ],
      result: { locked: true, locked_since: since, already }
    }
  })
})

/** States that the lock may still come, and how to be certain: a lock without a daemon holds for the next one. */
const lockFailure = Effect.fnUntraced(function* (args: GlobalArgs, socketPath: string, fault: ClientError) {
  const problem = fromClient(fault)
  const kill =
    fault._tag === "RequestTimedOut"
      ? yield* Effect.promise(() => killCommand(lockFileOf(args, socketPath)))
      : undefined
  if (kill === undefined) return yield* problem
  return yield* new CommandError({
    ...problem,
    message: problem.message,
    why: "it may lock the store later, or not",
    fix: `To lock it for certain: ${kill}, then secrets lock`
  })
})
