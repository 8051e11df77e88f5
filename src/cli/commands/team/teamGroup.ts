/**
 * secrets team group: which machines are in a group, and which secrets are for its machines alone.
 *
 * Both are signed statements of the list. The daemons seal what is for other machines now.
 */
import * as Effect from "effect/Effect"
import { escapeText, unescapeText } from "../../../daemon/team/escapeText.ts"
import { everyone, groupOfSecret, isInGroup, type MemberView, viewOf } from "../../../daemon/team/members.ts"
import { machineNamePattern } from "../../../domain/TeamConfig.ts"
import { failUsage } from "../../command/CommandError.ts"
import { table } from "../../terminal/table.ts"
import { type BesideDaemon, openBesideDaemon, sealedLine } from "./besideDaemon.ts"
import type { TeamArgs } from "./teamFlags.ts"
import { teamError, unknownMachine } from "./teamProblems.ts"

const usage = "Use: secrets team group list | add GROUP MACHINE... | drop GROUP MACHINE... | assign GROUP SECRET..."

export const teamGroup = Effect.fnUntraced(function* (args: TeamArgs) {
  const [, verb = "list", group, ...names] = args.positionals
  const beside = yield* openBesideDaemon(args)
  if (verb === "list" && group === undefined) return showGroups(viewOf(beside.list))
  if (group === undefined || names.length === 0 || !machineNamePattern.test(group)) {
    return yield* failUsage(`group ${verb} requires the name of a group, and names`, usage)
  }
  if (verb === "assign") return yield* assign(beside, group, names)
  if (verb !== "add" && verb !== "drop") return yield* failUsage(`unknown subcommand of group`, usage)
  if (group === everyone) return yield* failUsage(`every machine is in the group ${everyone}`, usage)
  return yield* changeMachines(beside, group, names, verb === "add")
}, Effect.scoped)

const changeMachines = Effect.fnUntraced(function* (
  { declare, list, waitForSealing }: BesideDaemon,
  group: string,
  machines: ReadonlyArray<string>,
  isAdd: boolean
) {
  let next = list
  for (const machine of machines) {
    const before = viewOf(next).members.get(machine)?.groups
    if (before === undefined) return yield* unknownMachine(machine)
    const groups = isAdd ? [...new Set([...before, group])] : before.filter((one) => one !== group)
    if (groups.length !== before.length) next = yield* declare(next, { do: "groups", machine, groups })
  }
  return yield* changed(next, waitForSealing)
})

const assign = Effect.fnUntraced(function* (
  { declare, list, team, waitForSealing }: BesideDaemon,
  group: string,
  secrets: ReadonlyArray<string>
) {
  const view = viewOf(list)
  const self = view.members.get(team.name)
  if (![...view.members.values()].some((member) => isInGroup(member, group))) {
    return yield* teamError(
      "no machine could read the secrets",
      `the group ${group} has none`,
      `Add one: secrets team group add ${group} MACHINE`
    )
  }
  let next = list
  for (const secret of secrets.map(escapeText)) {
    const before = groupOfSecret(viewOf(next), secret)
    if (self === undefined || !isInGroup(self, before)) {
      return yield* teamError(
        "this machine cannot seal the secret again",
        `it is not in the group ${before}`,
        "Run this on a machine that is"
      )
    }
    if (before !== group) next = yield* declare(next, { do: "assign", secret, group })
  }
  return yield* changed(next, waitForSealing)
})

const changed = Effect.fnUntraced(function* (
  list: BesideDaemon["list"],
  waitForSealing: BesideDaemon["waitForSealing"]
) {
  const sealed = yield* waitForSealing(list)
  const { lines, result } = showGroups(viewOf(list))
  return {
    lines: [...lines, sealedLine(sealed)],
    result: { ...result, sealed: sealed.done, secrets_in_all: sealed.all }
  }
})

const showGroups = (view: MemberView) => {
  const members = [...view.members.values()]
  const names = [...new Set([everyone, ...members.flatMap(({ groups }) => groups), ...view.groupOf.values()])]
  const groups = names.map((group) => ({
    group,
    machines: members.filter((member) => isInGroup(member, group)).map(({ name }) => name),
    secrets: [...view.groupOf].filter(([, assigned]) => assigned === group).map(([secret]) => unescapeText(secret))
  }))
  const cells = groups.map(({ group, machines, secrets }) => [
    group,
    machines.join(", "),
    group === everyone ? "all that are in no other group" : secrets.join(", ")
  ])
  return { lines: table(["GROUP", "MACHINES", "SECRETS"], cells), result: { groups } }
}
