/**
 * The secrets of a team over a database in memory: who can read them after the list of machines changes, and what a
 * machine refuses because the database shows something else than a machine wrote.
 */
import { assert, describe, it } from "@effect/vitest"
import { Encrypter } from "age-encryption"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { openStore } from "../../../src/daemon/secrets/storeFiles.ts"
import { lookAtNothing } from "../../../src/daemon/team/teamRows.ts"
import { removeMarks } from "../../../src/daemon/team/teamStore.ts"
import { auditOf } from "../../harness/daemon.ts"
import { memoryTeam, type TeamTestMachine } from "../../support/memoryTeam.ts"
import { eventually, until } from "../../support/waiting.ts"
import { storedSecret } from "../../support/storedSecret.ts"

type TestTeam = Effect.Success<ReturnType<typeof memoryTeam>>
type Daemon = Effect.Success<ReturnType<TestTeam["start"]>>

/** Prepares to add secrets, or to give them new values, in what was found; undefined deletes one. */
const prepare = (
  { store }: Daemon,
  values: Readonly<Record<string, string | undefined>>,
  found = store.document(),
  kind: "update" | "wipe" = "update"
) =>
  Effect.suspend(() => {
    const secrets = new Map(found.secrets)
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) secrets.delete(name)
      else secrets.set(name, storedSecret(name, value))
    }
    return store.prepare({ ...found, secrets }, kind, found)
  })

const change = (...given: Parameters<typeof prepare>) => Effect.flatMap(prepare(...given), ({ write }) => write)

const valuesOf = ({ store }: Daemon): Readonly<Record<string, string>> =>
  Object.fromEntries([...store.document().secrets].map(([name, { value }]) => [name, Redacted.value(value)]))

/** Runs something with the daemon of a machine, which ends then. */
const withDaemon = <A, E, R>(
  team: TestTeam,
  machine: TeamTestMachine,
  use: (daemon: Daemon) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const daemon = yield* Scope.provide(team.start(machine), scope)
    return yield* Effect.ensuring(use(daemon), Scope.close(scope, Exit.void))
  })

const canOpen = ({ database }: TestTeam, machine: TeamTestMachine, name: string) =>
  Effect.suspend(() =>
    machine.signer.store.decrypt(Buffer.from(database.secrets.get(name)?.sealed ?? "", "base64"))
  ).pipe(Effect.exit, Effect.map(Exit.isSuccess))

const refusals = ({ directory }: TeamTestMachine) =>
  auditOf(directory).flatMap(({ action, details }) => (action === "value_refused" ? [details] : []))

/** Writes rows as the owner of the database could, and has the machine look. */
const tamper = (team: TestTeam, daemon: Daemon, name: string, row: { version: number; sealed: string | null }) => {
  team.database.revision += 1
  team.database.secrets.set(name, { name, ...row, changed: team.database.revision })
  return daemon.team.look(lookAtNothing)
}

describe("the secrets of a team", () => {
  it.live("are sealed again for a machine that is added, and for none that is removed, also after a restart", () =>
    Effect.gen(function* () {
      const team = yield* memoryTeam()
      const { database, declare, first } = team
      const m2 = yield* team.newMachine("m2")
      yield* withDaemon(team, first, (daemon) => change(daemon, { db: "made-up 1", mail: "made-up 2" }))
      declare(first, { do: "add", ...m2.signer.keys, admin: false, groups: [] })
      assert.isFalse(yield* canOpen(team, m2, "db"))
      yield* withDaemon(team, first, (daemon) =>
        Effect.gen(function* () {
          yield* eventually(Effect.all([canOpen(team, m2, "db"), canOpen(team, m2, "mail")]), (all) =>
            all.every(Boolean)
          )
          declare(first, { do: "remove", machine: "m2" })
          yield* eventually(
            Effect.all([canOpen(team, m2, "db"), canOpen(team, m2, "mail")]),
            (all) => !all.some(Boolean)
          )
          assert.deepStrictEqual(valuesOf(daemon), { db: "made-up 1", mail: "made-up 2" })
          assert.strictEqual(database.secrets.get("db")?.version, 3)
        })
      )
      const recorded = auditOf(first.directory).map(({ action }) => action)
      assert.deepStrictEqual(
        recorded.filter((action) => action.startsWith("machine_")),
        ["machine_add", "machine_remove"]
      )
    }).pipe(Effect.scoped)
  )

  it.live("leave a secret of the machine alone that has the same name, also after a restart", () =>
    Effect.gen(function* () {
      const team = yield* memoryTeam("m2")
      const [first, m2] = team.machines
      if (first === undefined || m2 === undefined) return
      const files = yield* openStore(m2.paths, { last: undefined })
      const own = { ...files.document(), secrets: new Map([["db", storedSecret("db", "of the machine")]]) }
      yield* Effect.flatMap(files.prepare(own, "update"), ({ write }) => write)
      yield* withDaemon(team, first, (daemon) => change(daemon, { db: "of the team", mail: "made-up" }))
      const onDisk = Effect.map(openStore(m2.paths, { last: undefined }), (opened) => opened.document())
      const left = (keep: boolean) =>
        Effect.map(onDisk, (document) =>
          Object.fromEntries(
            [...removeMarks(document, keep).secrets].map(([name, { value }]) => [name, Redacted.value(value)])
          )
        )
      for (const _ of ["first start", "second start"]) {
        yield* withDaemon(team, m2, (daemon) =>
          Effect.gen(function* () {
            yield* eventually(
              Effect.sync(() => valuesOf(daemon)),
              ({ mail }) => mail !== undefined
            )
            assert.deepStrictEqual(valuesOf(daemon), { db: "of the team", mail: "made-up" })
            yield* eventually(onDisk, ({ secrets }) => secrets.has("mail"))
          })
        )
        assert.deepStrictEqual(yield* left(false), { db: "of the machine" })
        assert.deepStrictEqual(yield* left(true), { db: "of the machine", mail: "made-up" })
      }
    }).pipe(Effect.scoped)
  )

  it.live("are read by the machines of their group alone, and the others have no alarm about that", () =>
    Effect.gen(function* () {
      const team = yield* memoryTeam("m2")
      const [first, m2] = team.machines
      if (first === undefined || m2 === undefined) return
      yield* withDaemon(team, first, (daemon) =>
        Effect.gen(function* () {
          yield* change(daemon, { db: "made-up 1", mail: "made-up 2" })
          team.declare(first, { do: "groups", machine: "m1", groups: ["prod"] })
          team.declare(first, { do: "assign", secret: "db", group: "prod" })
          yield* eventually(canOpen(team, m2, "db"), (isOpen) => !isOpen)
        })
      )
      yield* withDaemon(team, m2, (daemon) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(valuesOf(daemon), { mail: "made-up 2" })
          const refused = yield* Effect.flip(change(daemon, { db: "made-up and planted" }))
          assert.include(refused.message, "this machine is not in the group prod, which has the secret")
        })
      )
      assert.deepStrictEqual(refusals(m2), [])
      // An admin machine may add a secret to a group that it is not in, and replaces none there.
      team.declare(first, { do: "groups", machine: "m2", groups: ["other"] })
      team.declare(first, { do: "assign", secret: "new", group: "other" })
      yield* withDaemon(team, m2, (daemon) =>
        Effect.andThen(daemon.team.look(lookAtNothing), change(daemon, { new: "made-up" }))
      )
      const replaced = yield* withDaemon(team, first, (daemon) => Effect.flip(change(daemon, { new: "planted" })))
      assert.include(replaced.message, "the team has a secret of this name in the group other")
    }).pipe(Effect.scoped)
  )

  it.live("are refused if they are swapped, old, foreign, or sealed for a list that nobody signed", () =>
    Effect.gen(function* () {
      const team = yield* memoryTeam("m2")
      const { database, first } = team
      yield* withDaemon(team, first, (daemon) =>
        Effect.gen(function* () {
          yield* change(daemon, { a: "made-up a", b: "made-up b", c: "made-up c", d: "made-up d" })
          const old = database.secrets.get("b")
          yield* change(daemon, { b: "made-up b, changed" })
          const sealedOf = (name: string) => database.secrets.get(name)?.sealed ?? null
          yield* tamper(team, daemon, "a", { version: 2, sealed: sealedOf("d") })
          yield* tamper(team, daemon, "b", { version: old?.version ?? 0, sealed: old?.sealed ?? null })
          const encrypter = new Encrypter()
          encrypter.addRecipient(first.signer.keys.recipient)
          const planted = Buffer.from(yield* Effect.promise(() => encrypter.encrypt("planted"))).toString("base64")
          yield* tamper(team, daemon, "c", { version: 2, sealed: planted })
          assert.deepStrictEqual(valuesOf(daemon), { d: "made-up d" })
        })
      )
      assert.deepStrictEqual(refusals(first), [
        "it is another version than the database states",
        "it is older than the version that this machine has seen",
        "its contents are not those of a team's secret"
      ])
      // The old version stays refused by the next process, which has it in no memory but team.json.
      yield* withDaemon(team, first, (daemon) =>
        Effect.sync(() => assert.deepStrictEqual(valuesOf(daemon), { d: "made-up d" }))
      )
    }).pipe(Effect.scoped)
  )

  it.live("are served no more once the list of machines is shorter or another one, until a person has looked", () =>
    Effect.gen(function* () {
      for (const [forge, reason] of [
        [
          (team: TestTeam) => void team.database.members.pop(),
          "its list of machines is shorter than the one in team.json"
        ],
        [
          (team: TestTeam) => void team.database.members.push({ statement: "{}", sig: "" }),
          "its list of machines is not valid: statement 3 is not one that this version reads"
        ]
      ] as const) {
        const team = yield* memoryTeam("m2")
        yield* withDaemon(team, team.first, (daemon) =>
          Effect.gen(function* () {
            yield* change(daemon, { db: "made-up" })
            forge(team)
            team.database.revision += 1
            const refused = yield* Effect.flip(daemon.team.look(lookAtNothing))
            assert.include(refused.message, reason)
            assert.strictEqual(daemon.team.state()._tag, "Stopped")
            assert.isTrue(Exit.isFailure(yield* Effect.exit(change(daemon, { db: "made-up, changed" }))))
          })
        )
        yield* withDaemon(team, team.first, (daemon) => until(() => daemon.team.state()._tag === "Stopped"))
      }
    }).pipe(Effect.scoped)
  )

  it.live("are changed by two machines at once, unless they change the same one", () =>
    Effect.gen(function* () {
      const team = yield* memoryTeam("m2")
      const [first, m2] = team.machines
      if (first === undefined || m2 === undefined) return
      const one = yield* team.start(first)
      const two = yield* team.start(m2)
      yield* change(one, { a: "made-up a", b: "made-up b", c: "made-up c" })
      yield* two.team.look(lookAtNothing)
      const found = one.store.document()

      // Another secret is changed, before or after this machine sees it.
      const prepared = yield* prepare(one, { a: "made-up a, changed", new: "made-up new" })
      yield* change(two, { b: "made-up b, changed", other: "made-up other" })
      yield* prepared.write
      yield* change(one, { c: undefined }, found)
      const expected = {
        a: "made-up a, changed",
        b: "made-up b, changed",
        new: "made-up new",
        other: "made-up other"
      }
      assert.deepStrictEqual(valuesOf(one), expected)
      yield* two.team.look(lookAtNothing)
      assert.deepStrictEqual(valuesOf(two), expected)

      // The same secret: one that was changed, deleted or added.
      for (const [here, there] of [
        [{ a: "made-up, too late" }, { a: "made-up and first" }],
        [{ a: "made-up, too late" }, { a: undefined }],
        [{ added: "made-up, too late" }, { added: "made-up and first" }]
      ] as const) {
        const late = yield* prepare(one, here)
        yield* change(two, there)
        const refused = yield* Effect.flip(late.write)
        assert.include(refused.message, "another machine of the team changed the same at the same time")
        assert.deepStrictEqual(valuesOf(one), valuesOf(two))
      }

      // A machine that only sealed it again changed nothing.
      const again = yield* prepare(one, { b: "made-up b, last" })
      yield* change(two, { b: "made-up b, changed" })
      yield* again.write
      const wiped = yield* prepare(
        one,
        { added: undefined, b: undefined, new: undefined, other: undefined },
        undefined,
        "wipe"
      )
      yield* change(two, { late: "made-up late", new: "made-up new, changed" })
      yield* wiped.write
      assert.deepStrictEqual(valuesOf(one), {})
      yield* two.team.look(lookAtNothing)
      assert.deepStrictEqual(valuesOf(two), {})
    }).pipe(Effect.scoped)
  )

  it.live("come back with their newest versions if the database is older, deletions included", () =>
    Effect.gen(function* () {
      const team = yield* memoryTeam()
      const { database, first } = team
      yield* withDaemon(team, first, (daemon) => change(daemon, { db: "made-up 1", gone: "made-up and deleted" }))
      const backup = structuredClone(database)
      yield* withDaemon(team, first, (daemon) =>
        Effect.gen(function* () {
          yield* daemon.audit.append([{ action: "secret_update", success: true, secret_name: "db" }])
          yield* change(daemon, { db: "made-up 2", later: "made-up 3", gone: undefined })
        })
      )
      Object.assign(database, backup)
      yield* withDaemon(team, first, (daemon) =>
        Effect.gen(function* () {
          yield* until(() => database.secrets.get("later") !== undefined)
          assert.deepStrictEqual(valuesOf(daemon), { db: "made-up 2", later: "made-up 3" })
          assert.isNull(database.secrets.get("gone")?.sealed)
          assert.strictEqual(database.secrets.get("db")?.version, 2)
        })
      )
      assert.include(
        auditOf(first.directory).map(({ action }) => action),
        "audit_restored"
      )
      assert.deepStrictEqual(refusals(first), [])
    }).pipe(Effect.scoped)
  )

  it.live("come back as the machine with the newest version has them, also where that is a deletion", () =>
    Effect.gen(function* () {
      const team = yield* memoryTeam("m2")
      const { database } = team
      const [first, m2] = team.machines
      if (first === undefined || m2 === undefined) return
      const look = (daemon: Daemon) => daemon.team.look(lookAtNothing)
      const recorded = (daemon: Daemon, changes: Parameters<typeof change>[1]) =>
        Effect.andThen(
          daemon.audit.append([{ action: "secret_update", success: true, secret_name: "db" }]),
          change(daemon, changes)
        )
      yield* withDaemon(team, first, (daemon) => change(daemon, { db: "made-up 1" }))
      yield* withDaemon(team, m2, look)
      const backup = structuredClone(database)
      yield* withDaemon(team, first, (daemon) => recorded(daemon, { db: "made-up 2", later: "made-up" }))
      // It does not look again before the database is lost.
      yield* withDaemon(team, m2, (daemon) =>
        Effect.andThen(look(daemon), recorded(daemon, { db: "made-up 3", later: undefined }))
      )
      Object.assign(database, structuredClone(backup))
      yield* withDaemon(team, first, () => until(() => database.secrets.get("later") !== undefined))
      yield* withDaemon(team, m2, (daemon) =>
        Effect.andThen(
          until(() => database.secrets.get("db")?.version === 3),
          Effect.sync(() => assert.deepStrictEqual(valuesOf(daemon), { db: "made-up 3" }))
        )
      )
      yield* withDaemon(team, first, (daemon) =>
        Effect.andThen(
          look(daemon),
          Effect.sync(() => assert.deepStrictEqual(valuesOf(daemon), { db: "made-up 3" }))
        )
      )
    }).pipe(Effect.scoped)
  )
})
