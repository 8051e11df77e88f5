/**
 * A database whose functions are older or newer than the program, or missing: nothing is issued,
 * the refusal states which side is older, an older program changes nothing there, and service
 * comes back by itself.
 */
import { teamFunctions } from "../../../src/daemon/team/schema.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { judge } from "./judge.ts"
import { ask, database, type Machine, type Team, withTeam } from "./Machine.ts"

const rename = (team: Team, from: (name: string) => string, to: (name: string) => string) =>
  void ask(team, teamFunctions.map((name) => `alter function team.${from(name)}(text) rename to ${to(name)};`).join(""))

const newer = (name: string) => name.replace(/[0-9]+$/, "999")
const older = (name: string) => name.replace(/[0-9]+$/, "0")
const own = (name: string) => name

export const versions = ({ log }: ScenarioOptions): Promise<ReadonlyArray<Row>> =>
  withTeam({ machines: 2 }, async (team) => {
    const [machine] = team.machines as [Machine]
    let failed = 0
    const expectRefusal = async (expected: RegExp) => {
      const refused = await machine.acquire("c1")
      const status = await machine.attempt(["team", "status"])
      for (const text of [refused.error ?? "no refusal", status.stderr]) {
        if (expected.test(text)) continue
        failed += 1
        log(text)
      }
    }
    const migrate = () => machine.attempt(["team", "migrate", "--admin-url", team.cluster.url("postgres", database)])

    rename(team, own, newer)
    await expectRefusal(/newer than this program: update it/)
    const rejected = await migrate()
    if (rejected.status === 0 || ask(team, "select 1 from pg_proc where proname = 'put_1'").length > 0) failed += 1
    rename(team, newer, own)
    await machine.untilServed()

    rename(team, own, older)
    await expectRefusal(/older than this program, or missing: secrets team migrate/)
    if ((await migrate()).status !== 0) failed += 1
    await machine.untilServed()
    return [
      { what: "refusals of another version that do not state which side is older", tried: 6, failed },
      ...(await judge(team, log))
    ]
  })
