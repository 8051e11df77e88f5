/**
 * secrets team add: signs that a machine is in the team, and writes its invitation.
 *
 * It can be broken off at any point and run again: a machine that is in the list already gets another
 * password and another invitation, and the daemons seal what is not sealed for it yet.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { openAdmin, roleStatements } from "../../../daemon/team/administer.ts"
import { fingerprint, fingerprintOf } from "../../../daemon/team/fingerprint.ts"
import { readRequest, writeInvitation } from "../../../daemon/team/invitation.ts"
import { type MachineKeys, roleOf, statementHash, viewOf } from "../../../daemon/team/members.ts"
import { replaceFile } from "../../../daemon/files/durableFile.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { fileErrorText } from "../../../domain/systemError.ts"
import { failDeclined, failUsage } from "../../command/CommandError.ts"
import { printNotice } from "../../command/Output.ts"
import { confirm } from "../../terminal/askOnTerminal.ts"
import { isInteractive } from "../../terminal/isInteractive.ts"
import { type BesideDaemon, openBesideDaemon, positional, sealedLine } from "./besideDaemon.ts"
import type { TeamArgs } from "./teamFlags.ts"
import { adminAddress, databaseFailed, storeFailed, teamError } from "./teamProblems.ts"

export const addMachine = Effect.fnUntraced(function* (args: TeamArgs) {
  const file = yield* positional(args, 1, "the file of the request")
  const keys = yield* requestIn(file)
  const beside = yield* openBesideDaemon(args)
  yield* compareWords(args, keys)
  const list = yield* declareMachine(args, beside, keys)
  const password = Redacted.make(randomBytes(24).toString("base64url"))
  const forDatabase = yield* makeRole(args, keys.machine, password)
  const invitation = args.option("out") ?? `${keys.machine}.invitation`
  const contents = yield* invitationFor(beside, keys, password)
  yield* Effect.mapError(replaceFile(invitation, [contents]), ({ message }) =>
    teamError(
      "the invitation cannot be written; the machine is in the list",
      message,
      "Run the command again, with another file: --out FILE",
      exitStatus.cannotCreate
    )
  )
  const sealed = yield* beside.waitForSealing(list)
  return {
    lines: [
      `${keys.machine} is in the team; ${sealedLine(sealed)}`,
      ...(forDatabase.length === 0
        ? []
        : ["Have the administrator of the database run:", ...forDatabase.map((sql) => `${sql};`)]),
      `Bring ${invitation} to it, and run there: secrets team join ${invitation}`
    ],
    result: { machine: keys.machine, invitation, sealed: sealed.done, secrets: sealed.all, sql: forDatabase }
  }
}, Effect.scoped)

const requestIn = Effect.fnUntraced(function* (file: string) {
  const text = yield* Effect.try({
    try: () => fs.readFileSync(file, "utf8"),
    catch: (cause) =>
      failUsage(`the request cannot be read: ${fileErrorText(cause)}`, "Name the file that secrets team request wrote")
  })
  const keys = readRequest(text)
  if (keys !== undefined) return keys
  return yield* teamError(
    "the request is not valid",
    "it is not what secrets team request prints, or not signed with its own key",
    `Make it again there: secrets team request > FILE`,
    exitStatus.unfit
  )
})

/** Has a person compare the words of the request with those on the machine. */
const compareWords = Effect.fnUntraced(function* (args: TeamArgs, keys: MachineKeys) {
  printNotice(`the words of ${keys.machine}: ${fingerprintOf(keys)}`)
  if (args.flag("yes")) return
  if (!isInteractive())
    return yield* failUsage("add asks, and there is no terminal", "Compare the words, then pass --yes")
  if (yield* confirm(`Are these the words on ${keys.machine}? It will read the secrets of the team`)) return
  return yield* failDeclined("the machine is not added")
})

/** Signs the statement, unless the list has the machine with these keys. */
const declareMachine = Effect.fnUntraced(function* (
  args: TeamArgs,
  { declare, list }: BesideDaemon,
  keys: MachineKeys
) {
  const known = viewOf(list).members.get(keys.machine)
  if (known?.key === keys.key && known.recipient === keys.recipient) return list
  if (known !== undefined) {
    const why = `the team has another machine that is called ${keys.machine}`
    return yield* teamError(
      "the machine cannot be added",
      why,
      "Request with another name: secrets team request --name NAME"
    )
  }
  return yield* declare(list, { do: "add", ...keys, admin: args.flag("admin"), groups: args.options("group") })
})

/** Creates the role, or returns the statements for the person who may. */
const makeRole = Effect.fnUntraced(function* (args: TeamArgs, machine: string, password: Redacted.Redacted) {
  const statements = roleStatements(roleOf(machine), password)
  if (args.option("admin-url") === undefined) return statements
  const failed = databaseFailed("the role of the machine cannot be created; run the command again", true)
  const admin = yield* Effect.mapError(openAdmin(yield* adminAddress(args)), failed)
  yield* Effect.mapError(admin.runAll(statements), failed)
  return []
})

const invitationFor = Effect.fnUntraced(function* (
  { list, team }: BesideDaemon,
  { machine, recipient }: MachineKeys,
  password: Redacted.Redacted
) {
  const url = new URL(team.url)
  url.username = roleOf(machine)
  const [founding] = list.statements
  const founded = founding === undefined ? "" : statementHash(founding)
  const ca = team.ca === undefined ? {} : { ca: fs.readFileSync(team.ca, "utf8") }
  printNotice(`the words of the team: ${fingerprint(founded)}`)
  const invitation = { v: 1 as const, machine, url: url.href, founded, password: Redacted.value(password), ...ca }
  return yield* Effect.mapError(writeInvitation(invitation, recipient), storeFailed)
})
