/**
 * Compares what the machines of a team were told, their logs, their chains in the database, and
 * its tables: all must tell the same story.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import type { Row } from "../Scenario.ts"
import { ask, type Machine, type Team } from "./Machine.ts"

const linesOf = (team: Team, { name }: Machine): ReadonlyArray<string> =>
  ask(
    team,
    `select line from team.audit a join team.machines m on m.id = a.machine where m.name = '${name}' order by seq`
  )

const duplicates = (all: ReadonlyArray<string>): number => all.length - new Set(all).size

/** Compares the entries of all machines with the leases, and with what was acknowledged. */
export const judgeStory = (team: Team, log: (line: string) => void): ReadonlyArray<Row> => {
  const { machines } = team
  const entries = machines.flatMap((machine) => linesOf(team, machine).map((line): any => JSON.parse(line)))
  const idsOf = (...actions: ReadonlyArray<string>): ReadonlyArray<string> =>
    entries
      .filter(({ action, success }) => success && actions.includes(action))
      // A deleted secret ends its leases with one more entry, for all of them.
      .flatMap(({ lease_id }) => lease_id ?? [])
  const acquired = new Set(idsOf("lease_acquire"))
  const ended = idsOf("lease_replace", "lease_revoke", "lease_expire")
  const endedSet = new Set(ended)
  const held = ask(team, "select id from team.leases")
  const heldSet = new Set(held)
  const acknowledged = machines.flatMap((machine) => machine.acknowledged)
  // A machine that found an older database, and a killswitch, end leases without an entry for each.
  const isEndedAtOnce = entries.some(({ action }) => action === "audit_restored" || action === "killswitch")
  const open = isEndedAtOnce ? [] : [...acquired].filter((id) => !endedSet.has(id))
  const lost = acknowledged.filter((id) => !acquired.has(id))
  const untold = [
    ...open.filter((id) => !heldSet.has(id)),
    ...held.filter((id) => !acquired.has(id) || endedSet.has(id))
  ]
  for (const id of lost) log(`acknowledged and in no entry: ${id}`)
  for (const id of untold) log(`told differently by entries and table: ${id}`)
  const pairs = ask(team, "select encode(pair, 'hex') from team.leases")
  return [
    { what: "acknowledged acquires that are in no entry", tried: acknowledged.length, failed: lost.length },
    { what: "leases that ended twice", tried: ended.length, failed: duplicates(ended) },
    { what: "leases that entries and table tell differently", tried: held.length + open.length, failed: untold.length },
    { what: "pairs with two leases", tried: pairs.length, failed: duplicates(pairs) }
  ]
}

/** Reads audit.log behind its archives, of which the one with the highest number is the oldest. */
const wholeLog = (directory: string): string => {
  const numbers = fs.readdirSync(directory).flatMap((name) => /^audit\.log\.(\d+)$/.exec(name)?.[1] ?? [])
  const names = [
    ...numbers.toSorted((a, b) => Number(b) - Number(a)).map((number) => `audit.log.${number}`),
    "audit.log"
  ]
  return names.map((name) => fs.readFileSync(path.join(directory, name), "utf8")).join("")
}

/** Verifies each audit.log, and compares it with the chain in the database; the daemons are stopped. */
export const judgeCopies = async (team: Team, log: (line: string) => void): Promise<Row> => {
  let failed = 0
  for (const machine of team.machines) {
    const ended = await machine.attempt(["audit", "--verify"])
    const chain = linesOf(team, machine).join("\n")
    const isCopy = wholeLog(machine.directory).endsWith(`${chain}\n`)
    if (ended.status === 0 && isCopy) continue
    failed += 1
    log(`${machine.name}: ${isCopy ? ended.stdout : "audit.log is not its chain"}`)
  }
  return { what: "logs that are not a whole copy of their chain", tried: team.machines.length, failed }
}

/** Stops the daemons, and compares everything. */
export const judge = async (team: Team, log: (line: string) => void): Promise<ReadonlyArray<Row>> => {
  for (const machine of team.machines) await machine.stop()
  return [...judgeStory(team, log), await judgeCopies(team, log)]
}
