/**
 * The database of a team in memory, as its functions answer, and machines with files of their own that use it. It has
 * no leases. Tests change `database` as its owner could.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as path from "node:path"
import { AuditLog } from "../../src/daemon/audit/AuditLog.ts"
import { openStore } from "../../src/daemon/secrets/storeFiles.ts"
import { noMembers, type SignedStatement } from "../../src/daemon/team/members.ts"
import { sqlState } from "../../src/daemon/team/schema.ts"
import { readSigner, signStatement } from "../../src/daemon/team/signer.ts"
import { makeTeam, Team } from "../../src/daemon/team/Team.ts"
import type { SecretRecord } from "../../src/daemon/team/teamRows.ts"
import { openTeamMemory } from "../../src/daemon/team/teamMemory.ts"
import { openTeamStore } from "../../src/daemon/team/teamStore.ts"
import { type TeamWire, WireError } from "../../src/daemon/team/TeamWire.ts"
import { sha256 } from "../../src/domain/AuditChain.ts"
import { second } from "../../src/domain/GoDuration.ts"
import type { TeamSettings } from "../../src/domain/TeamConfig.ts"
import { temporaryDirectory } from "./temporary.ts"

interface MachineRow {
  epoch: number
  seq: number
  hash: string
  lines: Array<string>
}

export interface MemoryDatabase {
  revision: number
  incarnation: number
  members: Array<SignedStatement>
  secrets: Map<string, SecretRecord>
  machines: Map<string, MachineRow>
}

const newDatabase = (): MemoryDatabase => ({
  revision: 1,
  incarnation: 1,
  members: [],
  secrets: new Map(),
  machines: new Map()
})

const fail = (code: keyof typeof sqlState, reason: string) =>
  Effect.fail(new WireError({ code: sqlState[code], reason }))

/** Returns what a function of the database answers. */
const answer = (db: MemoryDatabase, name: string, input: any): Effect.Effect<unknown, WireError> => {
  const now = Date.now()
  const { machine, ...given } = input
  switch (name) {
    case "enter_1": {
      const row = db.machines.get(machine) ?? { epoch: 0, seq: given.seq, hash: given.hash, lines: [] }
      db.machines.set(machine, row)
      row.epoch += 1
      const isOlder = given.seq > row.seq
      if (isOlder && db.incarnation <= (given.incarnation ?? db.incarnation)) {
        db.incarnation = (given.incarnation ?? db.incarnation) + 1
        db.revision += 1
      }
      const verdict = isOlder ? "older" : given.seq < row.seq ? "behind" : "same"
      const { epoch, hash, seq } = row
      const { incarnation, revision } = db
      return Effect.succeed({ verdict, machine: 1, epoch, seq, hash, now, revision, incarnation })
    }
    case "look_1": {
      const secrets = [...db.secrets.values()].filter(({ changed }) => changed > given.revision)
      const { members, revision } = db
      return Effect.succeed({ now, revision, active: null, members: members.length, leases: [], revoked: [], secrets })
    }
    case "put_1": {
      const row = [...db.machines.values()].find(({ hash, seq }) => hash === given.hash && seq === given.seq)
      if (row === undefined || row.epoch !== given.epoch) return fail("fenced", "another process")
      if (given.revision !== undefined && given.revision !== db.revision) return fail("stale", "the team has changed")
      if (given.exclusive === true) db.revision += 1
      for (const { name, sealed, version } of given.secrets)
        db.secrets.set(name, { name, version, sealed, changed: db.revision })
      row.lines.push(...given.lines)
      row.seq += given.lines.length
      row.hash = given.new_hash
      return Effect.succeed({ now, revision: db.revision })
    }
    case "member_1":
      db.members.push({ statement: given.statement, sig: given.sig })
      db.revision += 1
      return Effect.succeed({})
    case "read_1":
      if (given.what === "members") return Effect.succeed(db.members.slice(given.after))
      if (given.what === "versions") {
        return Effect.succeed(Object.fromEntries([...db.secrets].map(([key, { version }]) => [key, version])))
      }
      return Effect.succeed([])
    default:
      return Effect.succeed({ now, revision: db.revision })
  }
}

/** The settings of a machine, apart from its database the usual ones. */
export const teamSettings = (name: string, url = `postgres://as_${name}@localhost/team`): TeamSettings => ({
  name,
  url,
  ca: undefined,
  cert: undefined,
  key: undefined,
  password_file: undefined,
  timeout: second,
  beat: second,
  prepare: true,
  accept_loss: false,
  offline: "refuse"
})

/** A machine that has a store and a key, and no daemon yet. */
const newMachine = Effect.fnUntraced(function* (name: string) {
  const directory = yield* temporaryDirectory
  const paths = { identity: path.join(directory, "identity.age"), secrets: path.join(directory, "secrets.age") }
  yield* openStore(paths, { last: undefined })
  const signer = yield* readSigner({ identityPath: paths.identity }, name)
  return { name, directory, paths, signer }
})
export type TeamTestMachine = Effect.Success<ReturnType<typeof newMachine>>

/** Opens the store of a machine as its daemon does, until the scope ends. */
const start = Effect.fnUntraced(function* (db: MemoryDatabase, { directory, name, paths }: TeamTestMachine) {
  const call: TeamWire["call"] = (name, input) => Effect.suspend(() => answer(db, name, structuredClone(input)))
  const wire: TeamWire = { call, callWithin: (_, ...asked) => call(...asked), probe: call, drop: Effect.void }
  const memory = yield* openTeamMemory(path.join(directory, "team.json"))
  const options = { name, timeout: Duration.seconds(5), beat: Duration.millis(50), memory }
  const team = yield* makeTeam(wire, options)
  const context = yield* Layer.build(
    Layer.fresh(AuditLog.layer(path.join(directory, "audit.log"), undefined, {}, team.commit))
  )
  return yield* Effect.gen(function* () {
    const audit = yield* AuditLog
    yield* Effect.forkScoped(team.keepUp(audit.append([])))
    yield* Effect.ignore(audit.append([]))
    const store = yield* openTeamStore(paths, { last: undefined }, teamSettings(name))
    return { team, audit, store }
  }).pipe(Effect.provideService(Team, team), Effect.provide(context))
})

/** A team that m1 has founded, and to which it has added the others. */
export const memoryTeam = Effect.fnUntraced(function* (...names: ReadonlyArray<string>) {
  const database = newDatabase()
  const machines = yield* Effect.forEach(["m1", ...names], newMachine)
  const [first] = machines
  if (first === undefined) return yield* Effect.die("no machine")
  const { extendMembers } = yield* Effect.promise(() => import("../../src/daemon/team/members.ts"))
  let list = noMembers
  /** Signs a statement as a machine, and adds it to the database. */
  const declare = (by: TeamTestMachine, said: object) => {
    const signed = signStatement(list, by.signer, said)
    database.members.push(signed)
    database.revision += 1
    const extended = extendMembers(list, [signed])
    if (extended._tag === "Success") list = extended.success
    return extended
  }
  declare(first, { do: "found", ...first.signer.keys, team: "a team" })
  for (const { signer } of machines.slice(1)) declare(first, { do: "add", ...signer.keys, admin: false, groups: [] })
  for (const { directory } of machines) {
    const memory = yield* openTeamMemory(path.join(directory, "team.json"))
    yield* memory.write({ members: [...database.members] })
  }
  return {
    database,
    machines,
    first,
    declare,
    list: () => list,
    newMachine,
    start: (machine: TeamTestMachine) => start(database, machine),
    genesis: sha256("")
  }
})
