/**
 * secrets team remove and exposure: takes a machine out of the team, and shows what it could read.
 *
 * Sealing again protects the future only: what the machine had decrypted, it has. So the command ends with 1 until
 * every value that the machine could read is another one.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { dropStatements, openAdmin } from "../../../daemon/team/administer.ts"
import { unescapeText } from "../../../daemon/team/escapeText.ts"
import { type MemberList, readersOf, roleOf, viewOf } from "../../../daemon/team/members.ts"
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { fromMillis } from "../../../domain/Timestamp.ts"
import { call } from "../../../rpc/client/client.ts"
import { literal, optional } from "../../../domain/shape.ts"
import { failDeclined, failUsage, fromClient } from "../../command/CommandError.ts"
import type { Output } from "../../command/Output.ts"
import { loadDaemon } from "../../command/settings.ts"
import { confirm } from "../../terminal/askOnTerminal.ts"
import { isInteractive } from "../../terminal/isInteractive.ts"
import { table } from "../../terminal/table.ts"
import { type BesideDaemon, openBesideDaemon, positional, readSecretRows, sealedLine } from "./besideDaemon.ts"
import type { TeamArgs } from "./teamFlags.ts"
import { adminAddress, databaseFailed, unknownMachine } from "./teamProblems.ts"

export const removeMachine = Effect.fnUntraced(function* (args: TeamArgs) {
  const machine = yield* positional(args, 1, "the machine")
  const beside = yield* openBesideDaemon(args)
  if (machine === beside.team.name) {
    return yield* failUsage("this machine cannot remove itself", "Leave the team: secrets team leave")
  }
  let { list } = beside
  const isMember = viewOf(list).members.has(machine)
  if (!isMember && lastViewOf(list, machine) === undefined) return yield* unknownMachine(machine)
  if (isMember) {
    yield* makeSure(args, machine)
    list = yield* beside.declare(list, { do: "remove", machine })
  }
  const statements = yield* endRole(args, machine)
  const sealed = yield* beside.waitForSealing(list)
  if (args.flag("rotate")) yield* rotateExposed(args, yield* exposedBy({ ...beside, list }, machine))
  const rows = yield* exposedBy({ ...beside, list }, machine)
  const lines = [
    `${machine} is not in the team; ${sealedLine(sealed)}`,
    ...(statements.length === 0
      ? []
      : ["Have the administrator of the database run:", ...statements.map((sql) => `${sql};`)])
  ]
  return exposureOutput(machine, rows, lines)
}, Effect.scoped)

export const teamExposure = Effect.fnUntraced(function* (args: TeamArgs) {
  const machine = yield* positional(args, 1, "the machine")
  const beside = yield* openBesideDaemon(args)
  if (lastViewOf(beside.list, machine) === undefined) return yield* unknownMachine(machine)
  return exposureOutput(machine, yield* exposedBy(beside, machine), [])
}, Effect.scoped)

const makeSure = Effect.fnUntraced(function* (args: TeamArgs, machine: string) {
  if (args.flag("yes")) return
  if (!isInteractive())
    return yield* failUsage("remove asks, and there is no terminal", "Remove it without a question: --yes")
  if (yield* confirm(`Remove ${machine}? It can do nothing more, and its leases end`)) return
  return yield* failDeclined("the machine is not removed")
})

/** Ends what the role does with the server, or returns the statements for the person who may. */
const endRole = Effect.fnUntraced(function* (args: TeamArgs, machine: string) {
  const statements = dropStatements(roleOf(machine))
  if (args.option("admin-url") === undefined) return statements
  const failed = databaseFailed("the role of the machine is not ended; run the command again", true)
  const admin = yield* Effect.mapError(openAdmin(yield* adminAddress(args)), failed)
  yield* Effect.mapError(admin.runAll(statements), failed)
  return []
})

/** Returns the last view of the list that has a machine: the one before its removal. */
const lastViewOf = ({ views }: MemberList, machine: string) => views.findLast(({ members }) => members.has(machine))

interface Exposed {
  readonly secret: string
  /** When the machine was last given it, in milliseconds; undefined if it only could read it. */
  readonly handed: number | undefined
}

/** Returns the secrets that a machine could read, and whose values are not changed since it was removed. */
const exposedBy = Effect.fnUntraced(function* ({ ask, list }: Pick<BesideDaemon, "ask" | "list">, machine: string) {
  const Times = Schema.Record(Schema.String, Schema.Number)
  const removed = (yield* ask("read_1", { what: "removals" }, Times))[machine]
  const handed = yield* ask("read_1", { what: "handed", of: machine }, Times)
  const handedAt = new Map(Object.entries(handed).map(([name, at]) => [unescapeText(name), at]))
  const view = lastViewOf(list, machine)
  return (yield* readSecretRows(ask)).flatMap(({ changed, name }): ReadonlyArray<Exposed> => {
    const couldRead = view !== undefined && readersOf(view, name).some((reader) => reader.name === machine)
    const isChanged = removed !== undefined && changed !== null && changed > removed
    const secret = unescapeText(name)
    return couldRead && !isChanged ? [{ secret, handed: handedAt.get(secret) }] : []
  })
})

const exposureOutput = (machine: string, rows: ReadonlyArray<Exposed>, lines: ReadonlyArray<string>): Output => {
  const cells = rows.map(({ handed, secret }) => [
    escapeValue(secret),
    handed === undefined ? "could read it" : `was given it, last ${fromMillis(handed).text}`,
    `secrets rotate ${escapeValue(secret)}, or secrets update`
  ])
  const shown =
    rows.length === 0
      ? [`nothing that ${machine} could read is left to change`]
      : table(["SECRET", "", "CHANGE IT"], cells)
  return {
    lines: [...lines, ...shown],
    result: {
      machine,
      exposed: rows.map(({ handed, secret }) => ({
        secret,
        ...(handed === undefined ? {} : { handed: fromMillis(handed).text })
      }))
    },
    problem:
      rows.length === 0
        ? undefined
        : {
            message: `${counted(rows.length, "value")} that ${machine} could read ${rows.length === 1 ? "is" : "are"} not changed`,
            code: "not_changed",
            fix: `Change them, then ask again: secrets team exposure ${machine}`,
            exitStatus: exitStatus.failed
          }
  }
}

const namesExample = { secrets: [{ name: "", rotate_via: optional("") }] }

/** Runs the rotation commands of those that have one, with the daemon; what fails stays in the list. */
const rotateExposed = Effect.fnUntraced(function* (args: TeamArgs, rows: ReadonlyArray<Exposed>) {
  const daemon = yield* loadDaemon(args)
  const { secrets } = yield* Effect.mapError(call(daemon, "secrets.list", { every: true }, namesExample), fromClient)
  const mayRotate = new Set(secrets.filter(({ rotate_via }) => rotate_via !== undefined).map(({ name }) => name))
  for (const { secret } of rows.filter((row) => mayRotate.has(row.secret))) {
    const rotating = call(
      { ...daemon, timeout: Duration.minutes(10) },
      "secrets.rotate",
      { secret_name: secret },
      { success: literal(true) }
    )
    const ended = yield* Effect.result(rotating)
    if (Result.isFailure(ended)) yield* Effect.logWarning(`${secret}: ${ended.failure.message}`)
  }
})
