/**
 * What the owner of the database does for a team: create it, add a machine, bring it up to date.
 *
 * The connection is that of a person, for one command. The password of a machine reaches the
 * server only as a SCRAM verifier, so that no log of the server has it.
 */
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto"
import { addressOptions } from "./connect.ts"
import { createStatements, functionsQuestion, migrateStatements, newerFunctions } from "./schema.ts"
import { WireError, wireError } from "./TeamWire.ts"

export interface NewMachine {
  readonly name: string
  readonly role: string
  readonly password: Redacted.Redacted
  /** The head of its audit log. */
  readonly seq: number
  readonly hash: string
}

/** A secret that is put in by the machine that begins. */
export interface NewSealed {
  readonly name: string
  readonly sealed: string
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
    /** Creates the schema; returns whether it was missing. */
    create: Effect.gen(function* () {
      const { rows } = yield* run("select to_regnamespace('team') is null as missing")
      if (rows[0]?.["missing"] !== true) return false
      yield* runAll(createStatements)
      return true
    }),
    /** Brings the functions up to date, unless a newer version has put in its own. */
    migrate: Effect.gen(function* () {
      const { rows } = yield* run(functionsQuestion)
      const reason = newerFunctions(rows[0]?.["answer"])
      if (reason !== undefined) return yield* new WireError({ reason, code: undefined })
      yield* runAll(migrateStatements)
    }),
    /** Adds a machine with its role; fails if the team has one of that name. */
    addMachine: Effect.fnUntraced(function* ({ hash, name, password, role, seq }: NewMachine) {
      const verifier = scramVerifier(Redacted.value(password))
      yield* run(`do $role$ begin
        if exists (select from pg_roles where rolname = '${role}') then alter role ${role} login password '${verifier}';
        else create role ${role} login password '${verifier}'; end if;
        grant agent_secrets_daemon to ${role};
        -- What a pooler does not pass on from the daemon.
        alter role ${role} set synchronous_commit = on;
        alter role ${role} set idle_in_transaction_session_timeout = '2s';
      end $role$`)
      yield* run(
        `insert into team.machines (name, db_role, audit_seq, audit_hash, base_seq, base_hash) values ($1, $2, $3::int8, $4, $3::int8, $4)`,
        [name, role, String(seq), hash]
      )
    }),
    /** Puts in secrets whose names the team does not have; returns the names of those. */
    addSecrets: Effect.fnUntraced(function* (secrets: ReadonlyArray<NewSealed>) {
      const { rows } = yield* run(
        `with moved as (update team.state set revision = revision + 1 returning revision)
         insert into team.secrets (name, version, changed, sealed)
         select s->>'name', 1, moved.revision, decode(s->>'sealed', 'base64') from moved, jsonb_array_elements($1::text::jsonb) s
         on conflict (name) do nothing returning name`,
        [JSON.stringify(secrets)]
      )
      return rows.flatMap(({ name }) => (typeof name === "string" ? [name] : []))
    })
  }
})

/** Returns what the server keeps in place of a password. */
const scramVerifier = (password: string): string => {
  const salt = randomBytes(16)
  const salted = pbkdf2Sync(password, salt, 4096, 32, "sha256")
  const hmac = (text: string) => createHmac("sha256", salted).update(text).digest()
  const stored = createHash("sha256").update(hmac("Client Key")).digest("base64")
  return `SCRAM-SHA-256$4096:${salt.toString("base64")}$${stored}:${hmac("Server Key").toString("base64")}`
}
