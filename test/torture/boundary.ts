/**
 * Attacks on the boundary with chance in them: requests through the sockets of each role, names,
 * project files, repositories, edits of the files, replaced files of the store, a lock under load.
 */
import type { Row, Scenario } from "./Scenario.ts"
import { editedFiles } from "./boundary/files.ts"
import { lockUnderLoad } from "./boundary/locks.ts"
import { randomNames } from "./boundary/names.ts"
import { hostileProjects } from "./boundary/projects.ts"
import { hostileRepositories } from "./boundary/repositories.ts"
import { randomRequests } from "./boundary/requests.ts"
import { replacedStore } from "./boundary/store.ts"

const attacks = [
  randomRequests,
  randomNames,
  hostileProjects,
  hostileRepositories,
  editedFiles,
  replacedStore,
  lockUnderLoad
]

export const scenario: Scenario = {
  promise: "what is refused to a role, a project file, a repository or an editor of the files stays refused",
  rounds: 40,
  run: async (options) => {
    const rows: Array<Row> = []
    // ONLY chooses one of them, for a repetition.
    for (const attack of attacks.filter(({ name }) => [undefined, name].includes(process.env["ONLY"]))) {
      const begun = performance.now()
      rows.push(...(await attack(options)))
      options.log(`${attack.name}: ${Math.round((performance.now() - begun) / 1_000)} s`)
    }
    return rows
  }
}
