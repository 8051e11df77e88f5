/** A team in a cluster of its own, for tests: its schema, its machines, and the services of one machine. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Duration from "effect/Duration"
import * as path from "node:path"
import { afterAll } from "vitest"
import { AuditLog } from "../../src/daemon/audit/AuditLog.ts"
import { connectionOptions } from "../../src/daemon/team/connect.ts"
import { createStatements } from "../../src/daemon/team/schema.ts"
import { makeTeam, Team } from "../../src/daemon/team/Team.ts"
import { teamLeasesLayer } from "../../src/daemon/team/teamLeases.ts"
import { openTeamMemory } from "../../src/daemon/team/teamMemory.ts"
import { makeTeamWire } from "../../src/daemon/team/TeamWire.ts"
import { sha256 } from "../../src/domain/AuditChain.ts"
import type { TeamSettings } from "../../src/domain/TeamConfig.ts"
import { teamSettings } from "./memoryTeam.ts"
import { type Cluster, startCluster } from "./postgres.ts"

/** One cluster for all tests of a file, and one database, which `reset` empties. */
export const sharedTeam = (machines: number) => {
  let cluster: Cluster | undefined
  const database = "team"
  const get = (): Cluster => {
    if (cluster !== undefined) return cluster
    cluster = startCluster()
    makeDatabase(cluster, database, machines)
    return cluster
  }
  afterAll(() => cluster?.remove())
  return {
    cluster: get,
    sql: (text: string) => get().sql(text, database),
    /** Empties the database, and gives every machine a new chain. */
    reset: (clockOffset = "interval '0'") =>
      void get().sql(
        `truncate team.leases, team.revoked, team.audit;
         update team.machines set audit_seq = 0, audit_hash = base_hash, status = 'active';
         update team.state set clock_offset = ${clockOffset}, incarnation = 1`,
        database
      ),
    settings: (name = "m1"): TeamSettings => settingsOf(get(), database, name)
  }
}

/** Makes a database with the schema and the machines m1, m2 …; the secrets db and mail are names alone. */
const makeDatabase = (cluster: Cluster, database: string, machines: number): void => {
  cluster.sql(`create database ${database}`)
  for (const statement of createStatements) cluster.sql(statement, database)
  const names = Array.from({ length: machines }, (_, at) => `m${at + 1}`)
  const added = names.map(
    (name) => `create role as_${name} login; grant agent_secrets_daemon to as_${name};
      insert into team.machines (name, db_role, audit_seq, audit_hash, base_seq, base_hash)
      values ('${name}', 'as_${name}', 0, '${sha256("")}', 0, '${sha256("")}');`
  )
  const secrets = ["db", "mail"].map((name) => `insert into team.secrets values ('${name}', 1, 1);`)
  cluster.sql([...added, ...secrets].join("\n"), database)
}

const settingsOf = (cluster: Cluster, database: string, name: string): TeamSettings =>
  teamSettings(name, cluster.url(`as_${name}`, database))

/** The leases and the audit log of one machine, with its files in a directory. */
export const machineIn = (directory: string, settings: TeamSettings, timeout = Duration.seconds(1)) => {
  const team = Layer.effect(
    Team,
    Effect.gen(function* () {
      const wire = yield* makeTeamWire(yield* connectionOptions(settings), timeout)
      const memory = yield* openTeamMemory(path.join(directory, "team.json"))
      return yield* makeTeam(wire, { name: settings.name, timeout, beat: Duration.seconds(30), memory })
    })
  )
  const log = path.join(directory, "audit.log")
  const audit = Layer.unwrap(Effect.map(Team, ({ commit }) => AuditLog.layer(log, undefined, {}, commit)))
  return teamLeasesLayer.pipe(Layer.provideMerge(audit), Layer.provideMerge(team))
}
