/**
 * Searches everything that the server keeps, after everything that a machine does with a secret:
 * tables, write-ahead log, its archive, dumps, and a log of all statements with their
 * parameters. No value, no key and no password may be there, in any encoding.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { formsIn } from "../../support/leaks.ts"
import { postgresPrograms } from "../../support/postgres.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { ask, database, type Machine, withTeam } from "./Machine.ts"

const values = [
  "made-up-plain-value-7Qx",
  "made-up <with> & \"quotes\" 'and' \\ and ü€😀",
  "-----BEGIN MADE UP KEY-----\nQUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo\n-----END MADE UP KEY-----",
  '{"made":"up","as":"json","number":17}',
  "postgres://made:up-pass%20word@db.example.org/x?y=z"
]

const filesIn = (directory: string): ReadonlyArray<string> =>
  fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))

/** What a machine keeps to itself: the key of its store, and the password of its role. */
const ownSecrets = ({ directory, name }: Machine) => {
  const key = /AGE-SECRET-KEY-[0-9A-Z]+/.exec(fs.readFileSync(path.join(directory, "identity.age"), "utf8"))?.[0] ?? ""
  const password = fs.readFileSync(path.join(directory, "team.password"), "utf8").trim().split(":").at(-1) ?? ""
  if (key.length < 40 || password.length < 20) throw new Error("the key or the password of a machine is not found")
  return [
    [`the key of ${name}`, key],
    [`the password of ${name}`, password]
  ] as const
}

export const secrecy = ({ log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const settings = [
    "log_statement = 'all'",
    "log_min_duration_statement = 0",
    "log_parameter_max_length_on_error = -1",
    "log_error_verbosity = verbose",
    "log_connections = on",
    "track_activity_query_size = 100000",
    "password_encryption = 'scram-sha-256'",
    "archive_mode = on",
    "archive_command = 'cp %p ../%f.archived'"
  ]
  // Every role needs its password.
  return withTeam(
    { machines: 2, settings, access: ["local all +agent_secrets_daemon scram-sha-256"] },
    async (team) => {
      const { cluster, machines } = team
      const [first, second] = machines as [Machine, Machine]
      const done = async (machine: Machine, method: string, params: object) => {
        const answer = await machine.ask(method, params)
        if (answer?.result === undefined) throw new Error(`${method}: ${JSON.stringify(answer)}`)
        return answer.result
      }
      for (const [at, value] of values.entries()) {
        await done(first, "add", { name: `s${at}`, value })
        await done(first, "update", { name: `s${at}`, value: `${value}, again` })
        await done(first, "lease", { secret_name: `s${at}`, client_id: "w" })
        await done(second, "lease", { secret_name: `s${at}`, client_id: "w" })
      }
      const rotated = "made-up-and-rotated-81kL"
      const rotation = { rotate_via: `printf ${rotated}`, rotate_stdout: true }
      await done(first, "add", { name: "turned", value: "made-up-before", ...rotation })
      await done(first, "rotate", { secret_name: "turned" })
      await done(first, "delete", { name: "s1" })
      await done(first, "killswitch", { wipe_store: true })
      cluster.sql("checkpoint")
      cluster.sql("select pg_switch_wal()")
      const server = ["-h", cluster.directory, "-U", "postgres"]
      for (const format of ["plain", "tar"]) {
        cluster.run("pg_dump", [
          ...server,
          "-F",
          format,
          "-f",
          path.join(cluster.directory, `dump.${format}`),
          database
        ])
      }
      cluster.run("pg_dumpall", [...server, "-f", path.join(cluster.directory, "dump.all")])
      ask(team, "select 1")
      cluster.stop()
      const wanted = [
        ...values.map((value, at) => [`value ${at}`, value] as const),
        ["the rotated value", rotated] as const,
        ...machines.flatMap(ownSecrets)
      ]
      const files = filesIn(cluster.directory)
      let [found, withNames] = [0, 0]
      for (const file of files) {
        const bytes = fs.readFileSync(file)
        if (bytes.includes("put_1")) withNames += 1
        for (const [what, text] of wanted) {
          // The command that rotates is a setting of the secret, sealed with it.
          for (const form of formsIn(bytes, text)) {
            found += 1
            log(`${path.relative(cluster.directory, file)} has ${what}: ${form}`)
          }
        }
      }
      cluster.start()
      if (withNames < 5) log(`only ${withNames} files have the name of a function: the search is blind`)
      return [
        {
          what: "values, keys and passwords in files, logs and dumps of the server",
          tried: files.length * wanted.length,
          failed: found + (withNames < 5 ? 1 : 0),
          stats: `${files.length} files of PostgreSQL ${path.basename(path.dirname(postgresPrograms ?? ""))}`
        }
      ]
    }
  )
}
