/**
 * What the owner of the database does for a team: create it, make the roles of machines, bring it up to date.
 *
 * The connection is that of a person, for one command. The password of a machine reaches the
 * server only as a SCRAM verifier, so that no log of the server has it.
 */
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto"
import { addressOptions } from "./connect.ts"
import type { SignedStatement } from "./members.ts"
import { createStatements, functionsQuestion, migrateStatements, newerFunctions } from "./schema.ts"
import { WireError, wireError } from "./TeamWire.ts"

export interface FirstMachine extends SignedStatement {
  readonly name: string
  readonly role: string
}

export interface AdminAddress {
  /** A URL in which `databaseProblem` finds nothing. */
  readonly url: URL
  /** The certificates that the server's must descend from. */
  readonly ca: string | undefined
  readonly password: string | undefined
}

export const openAdmin = Effect.fn("openAdmin")(function* ({ ca, password, url }: AdminAddress) {
  const options = yield* addressOptions({ ca }, url)
  const connection = yield* PgConnection.make({
    ...options,
    ...(password === undefined || password === "" ? {} : { password: Redacted.make(password) }),
    applicationName: "agent-secrets"
  }).pipe(Effect.mapError(wireError))
  const run = (sql: string, given: ReadonlyArray<unknown> = []) =>
    Effect.mapError(connection.query(sql, given, false), wireError)
  const runAll = (statements: ReadonlyArray<string>) => Effect.forEach(statements, (sql) => run(sql), { discard: true })
  return {
    runAll,
    /** Creates the schema where it is missing. */
    create: Effect.gen(function* () {
      const { rows } = yield* run("select to_regnamespace('team') is null as missing")
      if (rows[0]?.["missing"] === true) yield* runAll(createStatements)
    }),
    /** Brings the functions up to date, unless a newer version has put in its own. */
    migrate: Effect.gen(function* () {
      const { rows } = yield* run(functionsQuestion)
      const reason = newerFunctions(rows[0]?.["answer"])
      if (reason !== undefined) return yield* new WireError({ reason, code: "42883" })
      yield* runAll(migrateStatements)
    }),
    /** Whether the team was founded. */
    hasMembers: Effect.map(run("select 1 from team.members limit 1"), ({ rows }) => rows.length > 0),
    /** Adds the founding statement, and the machine that signed it; fails if there is one already. */
    found: ({ name, role, sig, statement }: FirstMachine) =>
      run(
        `with first as (insert into team.members (seq, statement, sig) values (1, $1, $2))
         insert into team.machines (name, db_role, admin, audit_seq, audit_hash, base_seq, base_hash)
         values ($3, $4, true, 0, '', 0, '')`,
        [statement, sig, name, role]
      )
  }
})

/** Returns the statements that create the role of a machine, or give it another password. */
export const roleStatements = (role: string, password: Redacted.Redacted): ReadonlyArray<string> => {
  const verifier = scramVerifier(Redacted.value(password))
  return [
    `do $role$ begin if not exists (select from pg_roles where rolname = '${role}') then create role ${role}; end if; end $role$`,
    `alter role ${role} login password '${verifier}'`,
    // What a pooler does not pass on from the daemon.
    `alter role ${role} set synchronous_commit = on`,
    `alter role ${role} set idle_in_transaction_session_timeout = '2s'`,
    `grant agent_secrets_daemon to ${role}`
  ]
}

/** Returns the statements that end what a removed machine does with the server. */
export const dropStatements = (role: string): ReadonlyArray<string> => [
  `alter role ${role} nologin`,
  `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${role}'`
]

/** Returns what the server keeps in place of a password. */
const scramVerifier = (password: string): string => {
  const salt = randomBytes(16)
  const salted = pbkdf2Sync(password, salt, 4096, 32, "sha256")
  const hmac = (text: string) => createHmac("sha256", salted).update(text).digest()
  const stored = createHash("sha256").update(hmac("Client Key")).digest("base64")
  return `SCRAM-SHA-256$4096:${salt.toString("base64")}$${stored}:${hmac("Server Key").toString("base64")}`
}
