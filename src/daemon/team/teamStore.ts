/**
 * The secrets of a team: sealed in the database, in memory here, and in secrets.age as a cache.
 *
 * It has the shape of the files of a store, so that `SecretStore` is the same over both: a
 * change is recorded, put, and then visible. secrets.age keeps each secret with the version
 * that was seen, encrypted to this machine alone. What it had before the team stays in it.
 * `keepSealed` seals again what was sealed for other machines, and puts back what the database has lost.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { valueRefusedFact } from "../../domain/daemonFacts.ts"
import { TeamChanged } from "../../domain/Team.ts"
import type { TeamSettings } from "../../domain/TeamConfig.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { FileError } from "../files/durableFile.ts"
import { AgeError } from "../secrets/ageFile.ts"
import { decodeStore, encodeStore, type StoreDocument, type StoredSecret } from "../secrets/storeDocument.ts"
import { openStore, type StoreFiles, type StoreMemory, type StorePaths } from "../secrets/storeFiles.ts"
import { escapeText, unescapeText } from "./escapeText.ts"
import { type Edit, editsOf, isSameSecret, sealedAgain } from "./edits.ts"
import { groupOfSecret, isInGroup, lastSigner, readersOf, recipientsOf, statementFact, viewOf } from "./members.ts"
import { openSealed, recipientsHash, seal } from "./sealedSecret.ts"
import { signingKey, signingPurpose } from "./signatures.ts"
import { maxTries, Team } from "./Team.ts"
import type { Seen } from "./teamMemory.ts"
import { lookAtNothing, type SecretRecord } from "./teamRows.ts"

/** What secrets.age has of a secret besides: its version in the database, and for which machines it was sealed. */
const Mark = Schema.Struct({ team: Schema.Struct({ version: Schema.Int, list: Schema.Int, for: Schema.String }) })
type Mark = typeof Mark.Type.team
const decodeMark = Schema.decodeUnknownOption(Mark)

const markOf = ({ foreign }: StoredSecret): Mark | undefined => Option.getOrUndefined(decodeMark(foreign))?.team
const marked = (secret: StoredSecret, team: Mark): StoredSecret => ({ ...secret, foreign: { team } })

/** Selects the secrets of the team, or those that the machine had before. */
const partOf = (document: StoreDocument, isTeams: boolean): Map<string, StoredSecret> =>
  new Map([...document.secrets].filter(([, secret]) => (markOf(secret) !== undefined) === isTeams))

/** The member of secrets.age with those secrets of the machine whose names the team has too. */
const covered = "covered_by_team"

/** Returns the secrets that the machine had before, also those whose names the team has. */
const ownOf = (document: StoreDocument): Map<string, StoredSecret> => {
  const under = decodeStore(JSON.stringify(document.foreign[covered] ?? {}))
  return new Map([...(Result.isSuccess(under) ? under.success.secrets : []), ...partOf(document, false)])
}

/** Returns a document with the secrets of the machine and of the team, and keeps both of one name. */
const withOwn = (
  document: StoreDocument,
  own: ReadonlyMap<string, StoredSecret>,
  secrets: StoreDocument["secrets"]
) => {
  const { [covered]: _, ...foreign } = document.foreign
  const both = new Map([...own].filter(([name]) => secrets.has(name)))
  const under: unknown = JSON.parse(encodeStore({ secrets: both, foreign: {} }))
  return {
    foreign: both.size === 0 ? foreign : { ...foreign, [covered]: under },
    secrets: new Map([...own, ...secrets])
  }
}

/** Returns a document of which nothing is marked as a team's: with the secrets of the team, or without. */
export const removeMarks = (document: StoreDocument, keep: boolean): StoreDocument => {
  const { [covered]: _, ...foreign } = document.foreign
  const teams = [...partOf(document, true)].map(([name, secret]) => [name, { ...secret, foreign: {} }] as const)
  // Of one name, that of the machine stays: the team still has the other.
  return { foreign, secrets: new Map([...(keep ? teams : []), ...ownOf(document)]) }
}

export const openTeamStore = Effect.fn("openTeamStore")(function* (
  paths: StorePaths,
  memory: StoreMemory,
  { name }: TeamSettings
) {
  const team = yield* Team
  const audit = yield* AuditLog
  const scope = yield* Effect.scope
  const files = yield* openStore(paths, memory)
  const own = ownOf(files.document())
  let secrets = partOf(files.document(), true)
  /** The newest version of each secret that this machine has seen, by its name; deleted ones included. */
  const seen = new Map<string, Seen>(Object.entries(team.memory.read().seen ?? {}))
  for (const [key, secret] of secrets) {
    const mark = markOf(secret)
    if (mark !== undefined && mark.version > (seen.get(key)?.version ?? 0)) seen.set(key, { ...mark, isDeleted: false })
  }
  const key = signingKey(files.derive(signingPurpose))
  const oneChange = Semaphore.withPermit(yield* Semaphore.make(1))
  let document: StoreDocument = { ...files.document(), secrets }

  const show = (next: Map<string, StoredSecret>) => {
    secrets = next
    document = { ...document, secrets: next }
  }

  const versionOf = (secretName: string): number => seen.get(secretName)?.version ?? 0
  const isRestoring = () => team.memory.read().restoring === true
  const listOf = (secretName: string): number => seen.get(secretName)?.list ?? 0

  /** Writes the cache, and no backup of what was removed. The database has what a full disk does not. */
  const cache = oneChange(
    Effect.suspend(() => {
      const next = withOwn(files.document(), own, secrets)
      return Effect.flatMap(files.prepare(next, "delete"), ({ write }) => write)
    }).pipe(
      Effect.andThen(Effect.suspend(() => audit.recordStore(files.hash()))),
      Effect.andThen(Effect.suspend(() => team.memory.write({ seen: Object.fromEntries(seen) }))),
      Effect.catch((error) => Effect.logWarning(`secrets.age is behind the team's database: ${error.message}`))
    )
  )

  /** Takes one row; returns why it is refused. */
  const takeOne = Effect.fnUntraced(function* (row: SecretRecord, next: Map<string, StoredSecret>) {
    const secretName = unescapeText(row.name)
    if (row.version < versionOf(secretName)) return "it is older than the version that this machine has seen"
    if (row.version === versionOf(secretName) && row.sealed !== null && next.has(secretName)) return undefined
    next.delete(secretName)
    seen.set(secretName, { version: row.version, list: listOf(secretName), isDeleted: row.sealed === null })
    if (row.sealed === null) return undefined
    const members = team.members()
    const sealed = Buffer.from(row.sealed, "base64")
    const opened = yield* openSealed({ ...row, name: secretName, escaped: row.name, sealed }, files, members)
    if (Result.isFailure(opened)) {
      // Of another group's secrets it has the names alone.
      return readersOf(viewOf(members), row.name).some((reader) => reader.name === name) ? opened.failure : undefined
    }
    const { list, recipients, secret } = opened.success
    if (list < listOf(secretName)) return "it is sealed for an older list of machines than the version before"
    seen.set(secretName, { version: row.version, list, isDeleted: false })
    next.set(secretName, marked(secret, { version: row.version, list, for: recipients }))
    return undefined
  })

  /** Takes the rows that changed. A row that is refused is as if there were no secret, never the one before. */
  const take = Effect.fnUntraced(function* (rows: ReadonlyArray<SecretRecord>) {
    const next = new Map(secrets)
    for (const row of rows) {
      const secretName = unescapeText(row.name)
      // The database has lost the version that is here, and gets it back.
      if (isRestoring() && row.version < versionOf(secretName)) continue
      const refused = yield* takeOne(row, next)
      if (refused === undefined) continue
      next.delete(secretName)
      yield* Effect.logError(`the secret ${JSON.stringify(secretName)} of the team is refused: ${refused}`)
      yield* Effect.ignore(audit.append([valueRefusedFact(secretName, refused)]))
    }
    show(next)
    yield* Effect.forkIn(Effect.uninterruptible(cache), scope)
  })
  team.onSecrets(take)

  /** Seals a secret with its next version, as a row of the database. */
  const sealNext = Effect.fnUntraced(function* (secret: StoredSecret, step: number) {
    const escaped = escapeText(secret.name)
    if (Buffer.byteLength(escaped) > maxName) {
      return yield* new AgeError({ reason: `a team's database takes no name of more than ${maxName} bytes` })
    }
    const list = team.members()
    const view = viewOf(list)
    const self = view.members.get(name)
    const group = groupOfSecret(view, escaped)
    if (self === undefined || !(isInGroup(self, group) || self.isAdmin)) {
      return yield* new AgeError({ reason: `this machine is not in the group ${group}, which has the secret` })
    }
    const known = seen.get(secret.name)
    if (!isInGroup(self, group) && known !== undefined && !known.isDeleted) {
      return yield* new AgeError({ reason: `the team has a secret of this name in the group ${group}` })
    }
    const version = versionOf(secret.name) + step
    const sealed = Buffer.from(yield* seal(secret, escaped, version, { by: name, key, list })).toString("base64")
    const mark = { version, list: list.statements.length, for: recipientsHash(recipientsOf(list, escaped)) }
    const row: SecretRow = { name: escaped, version, sealed, for: mark.for, secret: marked(secret, mark) }
    return row
  })

  const deletedRow = (secretName: string, step: number): SecretRow => ({
    name: escapeText(secretName),
    version: versionOf(secretName) + step,
    sealed: null,
    for: "",
    secret: undefined
  })

  /** Seals what is to become of secrets, as rows over the versions of a revision. */
  const sealEdits = Effect.fnUntraced(function* (edits: ReadonlyArray<Edit>, step = 1) {
    const revision = team.revision()
    const rows = yield* Effect.forEach(edits, ({ after, name }) =>
      after === undefined ? Effect.sync(() => deletedRow(name, step)) : sealNext(after, step)
    )
    return { revision, rows }
  })

  /** Commits sealed rows. The database keeps the time at which a value changed, unless this changes it. */
  const putRows = ({ revision, rows }: SealedRows) => {
    const sent = rows.map(({ secret, ...row }) => ({ ...row, same: isSameValue(secret, secrets) }))
    return audit.append([], { exclusive: true, revision, secrets: sent })
  }

  /**
   * Commits edits, and then shows them. The database takes a change of the revision that it was made from alone, so a
   * change of any other secret makes it necessary to look and seal again; one of the same secret ends it.
   */
  const commitEdits = Effect.fnUntraced(function* (find: () => ReadonlyArray<Edit>, sealed?: SealedRows, step = 1) {
    let { revision, rows } = sealed ?? (yield* Effect.mapError(sealEdits(find(), step), cannotWrite))
    if (rows.length === 0) return
    for (let tries = 1; ; tries += 1) {
      if (!find().every(({ before, name }) => isSameSecret(before, secrets.get(name)))) {
        return yield* cannotWrite(new TeamChanged())
      }
      const written = yield* Effect.result(putRows({ revision, rows }))
      if (Result.isSuccess(written)) break
      const { cause } = written.failure
      if (cause._tag !== "TeamChanged" || tries === maxTries) return yield* cannotWrite(cause)
      yield* Effect.mapError(team.look(lookAtNothing), cannotWrite)
      ;({ revision, rows } = yield* Effect.mapError(sealEdits(find(), step), cannotWrite))
    }
    const shown = new Map(secrets)
    for (const row of rows) {
      const secretName = unescapeText(row.name)
      const list = (row.secret && markOf(row.secret)?.list) ?? listOf(secretName)
      seen.set(secretName, { version: row.version, list, isDeleted: row.secret === undefined })
      if (row.secret === undefined) shown.delete(secretName)
      else shown.set(secretName, row.secret)
    }
    show(shown)
    yield* cache
    yield* Effect.ignore(team.look(lookAtNothing))
  })

  const prepare: StoreFiles["prepare"] = Effect.fn("openTeamStore.prepare")(function* (next, change, from) {
    const edits = editsOf(from.secrets, next.secrets)
    // A wipe removes what other machines add meanwhile, too.
    const find = () => (change === "wipe" ? editsOf(secrets, next.secrets) : edits)
    const sealed = yield* sealEdits(find())
    return { hash: undefined, write: commitEdits(find, sealed) }
  })

  /** Returns the secrets that are sealed for other machines than those that may read them now, and that this one may seal. */
  const outdated = (): ReadonlyArray<StoredSecret> => {
    const list = team.members()
    const view = viewOf(list)
    const self = view.members.get(name)
    return [...secrets.values()].filter((secret) => {
      const escaped = escapeText(secret.name)
      const mark = markOf(secret)
      return (
        self !== undefined &&
        mark?.for !== recipientsHash(recipientsOf(list, escaped)) &&
        (self.isAdmin || isInGroup(self, groupOfSecret(view, escaped)))
      )
    })
  }

  /** Puts back what the database has lost, and marks that as done. */
  const putBack = Effect.gen(function* () {
    if (!isRestoring()) return
    const rows = yield* team.read("versions", Versions)
    const isLost = (secretName: string) => (rows[escapeText(secretName)] ?? 0) < versionOf(secretName)
    // With the version that it had: another machine may have a newer one, and has to see that this is not it. What was
    // deleted becomes a row again, so that no machine brings its value back.
    const edits = [
      ...[...secrets.values()].filter((one) => isLost(one.name)).map(sealedAgain),
      ...[...seen]
        .filter(([secretName, { isDeleted }]) => isDeleted && isLost(secretName))
        .map(([secretName]) => ({ name: secretName, before: undefined, after: undefined }))
    ]
    yield* commitEdits(() => edits, undefined, 0)
    yield* team.memory.write({ restoring: false })
  })

  /** Records the statements that this machine signed, by a command beside the daemon. */
  let recorded = team.members().statements.length
  const recordStatements = Effect.suspend(() => {
    const added = team.members().statements.slice(recorded)
    recorded += added.length
    return audit.append(added.flatMap((signed) => statementFact(signed, name)))
  })

  /** Seals again in steps, each of which is whole: it goes on after a restart, and on another machine. */
  const sealAgain = Effect.gen(function* () {
    for (;;) {
      yield* team.look(lookAtNothing)
      yield* recordStatements
      yield* putBack
      const [...step] = outdated().slice(0, sealedAtOnce)
      if (step.length === 0) return
      const edits = step.map(sealedAgain)
      yield* commitEdits(() => edits)
    }
  })

  const keepSealed = Effect.gen(function* () {
    yield* Effect.repeat(Effect.sleep("100 millis"), { until: () => team.state()._tag === "Entered" })
    // The machine that changed the list begins; the others do what is left.
    if (lastSigner(team.members()) !== name) yield* Effect.sleep("2 seconds")
    const isDone = yield* sealAgain.pipe(
      Effect.as(true),
      Effect.catch((error) => Effect.as(Effect.logWarning(`secrets are not sealed again yet: ${error.message}`), false))
    )
    yield* isDone ? team.nextMembers : Effect.sleep("500 millis")
  })

  // Away at the start, the cache is what is known; nothing is issued from it.
  yield* Effect.ignore(team.look(lookAtNothing))
  yield* Effect.forkScoped(Effect.forever(keepSealed))
  return { ...files, document: () => document, hash: () => undefined, prepare } satisfies StoreFiles
})

/** A secret as the database takes it, and as it is shown here then; without `secret` it is deleted. */
interface SecretRow {
  readonly name: string
  readonly version: number
  readonly sealed: string | null
  readonly for: string
  readonly secret: StoredSecret | undefined
}

interface SealedRows {
  readonly revision: number
  readonly rows: ReadonlyArray<SecretRow>
}

const cannotWrite = (cause: unknown) => new FileError({ operation: "write", path: "the team's database", cause })

const isSameValue = (one: StoredSecret | undefined, secrets: ReadonlyMap<string, StoredSecret>): boolean => {
  const other = one && secrets.get(one.name)
  return one !== undefined && other !== undefined && Redacted.value(one.value) === Redacted.value(other.value)
}

const Versions = Schema.Record(Schema.String, Schema.Int)

/** How many secrets are sealed again with one commit. */
const sealedAtOnce = 50

/** What a B-tree of PostgreSQL takes. */
const maxName = 2000
