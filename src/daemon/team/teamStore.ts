/**
 * The secrets of a team: sealed in the database, in memory here, and in secrets.age as a cache.
 *
 * It has the shape of the files of a store, so that `SecretStore` is the same over both: a
 * change is recorded, put, and then visible. secrets.age keeps each secret with the version
 * that was seen, encrypted to this machine alone. What it had before the team stays in it.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { valueRefusedFact } from "../../domain/AuditEntry.ts"
import type { TeamSettings } from "../../domain/TeamConfig.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { FileError } from "../files/durableFile.ts"
import { AgeError } from "../secrets/ageFile.ts"
import type { StoreDocument, StoredSecret } from "../secrets/storeDocument.ts"
import { openStore, type StoreFiles, type StoreMemory, type StorePaths } from "../secrets/storeFiles.ts"
import { escapeText, unescapeText } from "./escapeText.ts"
import { openSealed, recipientsHash, seal, signingKey, signingPurpose } from "./sealedSecret.ts"
import { lookAtNothing, type SecretRecord, Team } from "./Team.ts"

/** What secrets.age has of a secret besides: its version in the database, and for which machines it was sealed. */
const Mark = Schema.Struct({ team: Schema.Struct({ version: Schema.Int, for: Schema.String }) })
type Mark = typeof Mark.Type.team
const decodeMark = Schema.decodeUnknownOption(Mark)

const markOf = ({ foreign }: StoredSecret): Mark | undefined => Option.getOrUndefined(decodeMark(foreign))?.team
const marked = (secret: StoredSecret, team: Mark): StoredSecret => ({ ...secret, foreign: { team } })

/** Selects the secrets of the team, or those that the machine had before. */
const partOf = (document: StoreDocument, isTeams: boolean): Map<string, StoredSecret> =>
  new Map([...document.secrets].filter(([, secret]) => (markOf(secret) !== undefined) === isTeams))

/** Returns a document of which nothing is marked as a team's: with the secrets of the team, or without. */
export const removeMarks = (document: StoreDocument, keep: boolean): StoreDocument => ({
  ...document,
  secrets: new Map([
    ...partOf(document, false),
    ...(keep ? [...partOf(document, true)].map(([name, secret]) => [name, { ...secret, foreign: {} }] as const) : [])
  ])
})

export const openTeamStore = Effect.fn("openTeamStore")(function* (
  paths: StorePaths,
  memory: StoreMemory,
  { machines, name }: TeamSettings
) {
  const team = yield* Team
  const audit = yield* AuditLog
  const files = yield* openStore(paths, memory)
  const own = partOf(files.document(), false)
  let secrets = partOf(files.document(), true)
  /** The version of each secret that this machine has seen, deleted ones included. */
  const versions = new Map([...secrets].map(([key, secret]) => [key, markOf(secret)?.version ?? 0]))
  const recipients = recipientsHash(machines)
  const sealOptions = { by: name, key: signingKey(files.derive(signingPurpose)), machines }
  const oneChange = Semaphore.withPermit(yield* Semaphore.make(1))
  let document: StoreDocument = { ...files.document(), secrets }

  const show = (next: Map<string, StoredSecret>) => {
    secrets = next
    document = { ...document, secrets: next }
  }

  /** Writes the cache, and no backup of what was removed. The database has what a full disk does not. */
  const cache = oneChange(
    Effect.suspend(() => {
      const next = { ...files.document(), secrets: new Map([...own, ...secrets]) }
      return Effect.flatMap(files.prepare(next, "delete"), ({ write }) => write)
    }).pipe(
      Effect.andThen(Effect.suspend(() => audit.recordStore(files.hash()))),
      Effect.catch((error) => Effect.logWarning(`secrets.age is behind the team's database: ${error.message}`))
    )
  )

  /** Takes one row; returns why it is refused. */
  const takeOne = Effect.fnUntraced(function* (row: SecretRecord, next: Map<string, StoredSecret>) {
    const secretName = unescapeText(row.name)
    const seen = versions.get(secretName) ?? 0
    if (row.version < seen) return "it is older than the version that this machine has seen"
    if (row.version === seen && row.sealed !== null && next.has(secretName)) return undefined
    versions.set(secretName, row.version)
    next.delete(secretName)
    if (row.sealed === null) return undefined
    const sealed = Buffer.from(row.sealed, "base64")
    const opened = yield* openSealed({ name: secretName, version: row.version, sealed }, files, machines)
    if (Result.isFailure(opened)) return opened.failure
    next.set(secretName, marked(opened.success.secret, { version: row.version, for: opened.success.recipients }))
    return undefined
  })

  /** Takes the rows that changed. A row that is refused is as if there were no secret, never the one before. */
  const take = Effect.fnUntraced(function* (rows: ReadonlyArray<SecretRecord>) {
    const next = new Map(secrets)
    for (const row of rows) {
      const refused = yield* takeOne(row, next)
      if (refused === undefined) continue
      const secretName = unescapeText(row.name)
      next.delete(secretName)
      yield* Effect.logError(`the secret ${JSON.stringify(secretName)} of the team is refused: ${refused}`)
      yield* Effect.ignore(audit.append([valueRefusedFact(secretName, refused)]))
    }
    show(next)
    yield* Effect.forkDetach(cache)
  })
  team.onSecrets(take)

  const prepare = Effect.fn("openTeamStore.prepare")(function* (next: StoreDocument) {
    const changed = [...next.secrets.values()].filter((secret) => secrets.get(secret.name) !== secret)
    const removed = [...secrets.keys()].filter((key) => !next.secrets.has(key))
    const rows = [
      ...(yield* Effect.forEach(
        changed,
        Effect.fnUntraced(function* (secret) {
          const key = escapeText(secret.name)
          if (Buffer.byteLength(key) > maxName) {
            return yield* new AgeError({ reason: `a team's database takes no name of more than ${maxName} bytes` })
          }
          const version = (versions.get(secret.name) ?? 0) + 1
          const sealed = Buffer.from(yield* seal(secret, version, sealOptions)).toString("base64")
          return { name: key, version, sealed, secret: marked(secret, { version, for: recipients }) }
        })
      )),
      ...removed.map((key) => ({ name: escapeText(key), version: (versions.get(key) ?? 0) + 1, sealed: null }))
    ]
    const write = Effect.gen(function* () {
      if (rows.length === 0) return
      const change = {
        exclusive: true,
        revision: team.revision(),
        secrets: rows.map(({ name, sealed, version }) => ({ name, sealed, version }))
      }
      yield* Effect.mapError(
        audit.append([], change),
        (cause) => new FileError({ operation: "write", path: "the team's database", cause })
      )
      const shown = new Map(secrets)
      for (const row of rows) {
        const key = unescapeText(row.name)
        versions.set(key, row.version)
        if ("secret" in row) shown.set(key, row.secret)
        else shown.delete(key)
      }
      show(shown)
      yield* cache
      yield* Effect.ignore(team.look(lookAtNothing))
    })
    return { hash: undefined, write }
  })

  /** Seals again what was sealed for another list of machines; once, because two machines may have two lists. */
  const resealOutdated = Effect.gen(function* () {
    yield* Effect.repeat(Effect.sleep("1 second"), { until: () => team.state()._tag === "Entered" })
    const next = new Map(
      [...secrets].map(([key, secret]) => [key, markOf(secret)?.for === recipients ? secret : { ...secret }])
    )
    const { write } = yield* prepare({ ...document, secrets: next })
    yield* write
  }).pipe(Effect.catch((error) => Effect.logWarning(`the secrets are not sealed again: ${error.message}`)))

  // Away at the start, the cache is what is known; nothing is issued from it.
  yield* Effect.ignore(team.look(lookAtNothing))
  yield* Effect.forkScoped(resealOutdated)
  return { ...files, document: () => document, hash: () => undefined, prepare } satisfies StoreFiles
})

/** What a B-tree of PostgreSQL takes. */
const maxName = 2000
