/**
 * Several machines change secrets at the same time: each its own ones, and one that is common to all. A change of a
 * secret that no other machine changes must succeed, and every machine then has the last value that was acknowledged.
 */
import { pause } from "../../harness/program.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { judge } from "./judge.ts"
import { type Machine, withTeam } from "./Machine.ts"

const common = "common"

/** Changes its own secrets in turn, and the common one; returns what was refused of its own. */
const changeOften = async (machine: Machine, { random, rounds }: ScenarioOptions, values: Map<string, Set<string>>) => {
  const refused: Array<string> = []
  for (let round = 0; round < rounds; round += 1) {
    const name = random.below(3) === 0 ? common : `${machine.name}-${random.below(3)}`
    const value = `made-up ${machine.name} ${round}`
    const isNew = !values.has(name)
    const isDeleted = name !== common && !isNew && random.below(5) === 0
    const method = isDeleted ? "delete" : isNew ? "add" : "update"
    const answer = await machine.ask(method, { name, ...(isDeleted ? {} : { value }) })
    const isDone = answer?.result !== undefined
    if (!isDone && name !== common) refused.push(`${method} ${name}: ${JSON.stringify(answer?.error)}`)
    // Of the common one, any value that was acknowledged may be the last.
    if (name === common) values.set(name, new Set([...(values.get(name) ?? []), ...(isDone ? [value] : [])]))
    else if (isDone && isDeleted) values.delete(name)
    else if (isDone) values.set(name, new Set([value]))
  }
  return refused
}

/** Returns the names whose value a machine does not have within a few beats. */
const wrongOn = async (machine: Machine, values: ReadonlyMap<string, ReadonlySet<string>>) => {
  for (let tries = 0; ; tries += 1) {
    const wrong: Array<string> = []
    for (const [name, expected] of values) {
      const { value } = (await machine.ask("lease", { secret_name: name, client_id: "reader" }))?.result ?? {}
      if (!expected.has(value)) wrong.push(`${machine.name} has ${JSON.stringify(value)} as ${name}`)
    }
    if (wrong.length === 0 || tries === 50) return wrong
    await pause(100)
  }
}

export const changes = (options: ScenarioOptions): Promise<ReadonlyArray<Row>> =>
  withTeam({}, async (team) => {
    const { log } = options
    const { machines } = team
    const values = new Map([[common, new Set(["made-up"])]])
    if ((await machines[0]?.ask("add", { name: common, value: "made-up" }))?.result === undefined) {
      throw new Error("the common secret is not added")
    }
    const refused = (await Promise.all(machines.map((machine) => changeOften(machine, options, values)))).flat()
    const wrong = (await Promise.all(machines.map((machine) => wrongOn(machine, values)))).flat()
    for (const line of [...refused, ...wrong]) log(line)
    return [
      {
        what: "changes of different secrets that failed",
        tried: machines.length * options.rounds,
        failed: refused.length
      },
      { what: "values that are not the last one", tried: machines.length * values.size, failed: wrong.length },
      ...(await judge(team, log))
    ]
  })
