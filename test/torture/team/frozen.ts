/**
 * A daemon is frozen at a random moment, a copy of its directory starts on what could be another
 * machine, and the frozen one wakes: it hands out nothing, and writes nothing into the chain.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { pause } from "../../harness/program.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { judge } from "./judge.ts"
import { Machine, startWork, type Team, withTeam } from "./Machine.ts"

const freezeOnce = async (team: Team, { log, random }: ScenarioOptions) => {
  const [frozen] = team.machines as [Machine]
  const stopWork = startWork([frozen], random)
  await pause(200 + random.below(300))
  frozen.daemon?.signal("SIGSTOP")
  const froze = performance.now()
  const copy = new Machine(frozen.name)
  fs.cpSync(frozen.directory, copy.directory, {
    recursive: true,
    filter: (file) => !/\.(sock|lock)$/.test(path.basename(file))
  })
  await copy.serve()
  await copy.untilServed("copy")
  // Longer than the timeout: an answer that waited in the frozen process is too late.
  await pause(Math.max(0, froze + 1200 - performance.now()))
  const woken = performance.now()
  frozen.daemon?.signal("SIGCONT")
  await pause(1000 + random.below(1000))
  await stopWork()
  const after = frozen.acquires.filter(({ answered }) => answered > woken)
  for (const { id } of after) if (id !== undefined) log(`handed out after waking: ${id}`)
  await copy.untilServed("copy")
  // The copy goes on as the machine.
  await frozen.stop("SIGKILL")
  await copy.stop()
  fs.rmSync(frozen.directory, { recursive: true })
  fs.cpSync(copy.directory, frozen.directory, { recursive: true })
  frozen.acquires.push(...copy.acquires)
  copy.remove()
  await frozen.serve()
  await frozen.untilServed()
  return after
}

export const frozen = (options: ScenarioOptions): Promise<ReadonlyArray<Row>> =>
  withTeam({ machines: 2 }, async (team) => {
    const after = []
    for (let round = 0; round < Math.ceil(options.rounds / 5); round += 1)
      after.push(...(await freezeOnce(team, options)))
    return [
      {
        what: "values that a frozen daemon handed out after another took its place",
        tried: after.length,
        failed: after.filter(({ id }) => id !== undefined).length
      },
      ...(await judge(team, options.log))
    ]
  })
