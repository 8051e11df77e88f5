/** The attacks of crashes through PgBouncer with transaction pooling, which itself is killed. */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { pause } from "../../harness/program.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { judge } from "./judge.ts"
import { startWork, type TeamOptions, withTeam } from "./Machine.ts"

const program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/opt/homebrew/bin/pgbouncer"].find((file) =>
  fs.existsSync(file)
)

/** What PgBouncer would reject; `secrets team init` sets it for the role instead. */
const ignored = ["synchronous_commit", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"]

export const pooler = async (options: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  if (program === undefined) {
    options.log("left out: PgBouncer is not installed here")
    return []
  }
  const start = (directory: string) => {
    const child = spawn("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", program, "pgbouncer.ini"], {
      cwd: directory,
      stdio: "ignore"
    })
    child.on("error", () => undefined)
    return child
  }
  let bouncer: ReturnType<typeof start> | undefined
  let place = ""
  const teamOptions: TeamOptions = {
    section: (section, _, cluster) => {
      const directory = path.join(cluster.directory, "pooler")
      if (!fs.existsSync(directory)) {
        fs.mkdirSync(directory, { mode: 0o777 })
        const users = ["as_m1", "as_m2", "as_m3"].map((user) => `"${user}" ""\n`)
        fs.writeFileSync(path.join(directory, "users"), users.join(""))
        const ini = `[databases]
* = host=${cluster.directory}
[pgbouncer]
listen_port = 6432
unix_socket_dir = ${directory}
auth_type = trust
auth_file = users
pool_mode = transaction
default_pool_size = 4
ignore_startup_parameters = ${ignored.join(", ")}
`
        fs.writeFileSync(path.join(directory, "pgbouncer.ini"), ini)
        execFileSync("chmod", ["777", directory])
        bouncer = start(directory)
        place = directory
      }
      const url = section["url"].replace("localhost", "localhost:6432").replace(/host=.*/, `host=${directory}`)
      return { url, prepare: false }
    }
  }
  try {
    return await withTeam(teamOptions, async (team) => {
      const stopWork = startWork(team.machines, options.random)
      for (let round = 0; round < Math.ceil(options.rounds / 3); round += 1) {
        await pause(200 + options.random.below(400))
        const kind = options.random.pick(["pooler", "daemon", "session"])
        if (kind === "session") {
          team.cluster.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename like 'as_%'")
        } else if (kind === "daemon") {
          const machine = options.random.pick(team.machines)
          await machine.stop("SIGKILL")
          await machine.serve()
        } else if (bouncer !== undefined) {
          bouncer.kill("SIGKILL")
          await once(bouncer, "close")
          bouncer = start(place)
        }
      }
      await pause(1500)
      await stopWork()
      for (const machine of team.machines) await machine.untilServed()
      options.log(
        `${team.machines.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0)} acquired through PgBouncer`
      )
      return await judge(team, options.log)
    })
  } finally {
    bouncer?.kill("SIGKILL")
  }
}
