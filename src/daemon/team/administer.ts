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
import { createStatements, migrateStatements } from "./schema.ts"
import { wireError } from "./TeamWire.ts"

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

export const openAdmin = Effect.fn("openAdmin")(function* (url: string, password: string | undefined) {
  const connection = yield* PgConnection.make({
    url: Redacted.make(url),
    ...(password === undefined || password === "" ? {} : { password: Redacted.make(password) }),
    applicationName: "agent-secrets"
  })
  const run = (sql: string, given: ReadonlyArray<unknown> = []) => connection.query(sql, given, false)
  const runAll = (statements: ReadonlyArray<string>) => Effect.forEach(statements, (sql) => run(sql), { discard: true })
  return {
    /** Creates the schema; returns whether it was missing. */
    create: Effect.gen(function* () {
      const { rows } = yield* run("select to_regnamespace('team') is null as missing")
      if (rows[0]?.["missing"] !== true) return false
      yield* runAll(createStatements)
      return true
    }),
    migrate: runAll(migrateStatements),
    /** Adds a machine with its role; fails if the team has one of that name. */
    addMachine: Effect.fnUntraced(function* ({ hash, name, password, role, seq }: NewMachine) {
      const verifier = scramVerifier(Redacted.value(password))
      yield* run(`do $role$ begin
        if exists (select from pg_roles where rolname = '${role}') then alter role ${role} login password '${verifier}';
        else create role ${role} login password '${verifier}'; end if;
        grant agent_secrets_daemon to ${role};
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
}, Effect.mapError(wireError))

/** Returns what the server keeps in place of a password. */
const scramVerifier = (password: string): string => {
  const salt = randomBytes(16)
  const salted = pbkdf2Sync(password, salt, 4096, 32, "sha256")
  const hmac = (text: string) => createHmac("sha256", salted).update(text).digest()
  const stored = createHash("sha256").update(hmac("Client Key")).digest("base64")
  return `SCRAM-SHA-256$4096:${salt.toString("base64")}$${stored}:${hmac("Server Key").toString("base64")}`
}
