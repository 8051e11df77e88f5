/**
 * Several machines over one PostgreSQL server: the suite of every layer of leases, and short
 * forms of the attacks of `npm run torture -- team`.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { AuditLog } from "../../src/daemon/audit/AuditLog.ts"
import { verifyAuditLog } from "../../src/daemon/audit/verifyAuditLog.ts"
import { LeaseRepo } from "../../src/daemon/leases/LeaseRepo.ts"
import { Team } from "../../src/daemon/team/Team.ts"
import { lookAtNothing } from "../../src/daemon/team/teamRows.ts"
import { needsRestart } from "../../src/domain/needsRestart.ts"
import { sha256 } from "../../src/domain/AuditChain.ts"
import { acquireFact, replaceFact } from "../../src/domain/leaseFacts.ts"
import { hour } from "../../src/domain/GoDuration.ts"
import { makeLease } from "../../src/domain/Lease.ts"
import { auditOf, startDaemon } from "../harness/daemon.ts"
import { run, shellWords, start } from "../harness/program.ts"
import { formsIn } from "../support/leaks.ts"
import { postgresPrograms } from "../support/postgres.ts"
import { machineIn, sharedTeam } from "../support/team.ts"
import { readStore } from "../support/readStore.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { until } from "../support/waiting.ts"
import { leaseRepoSuite } from "../daemon/leases/LeaseRepoSuite.ts"

/** Turns a name into a UUID. */
const idOf = (name: string): string => sha256(name).replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/, "$1-$2-4$3-8$4-$5")

/** Acquires as the operation does: replaces the lease of the pair. */
const take = (secretName: string, clientId: string) =>
  LeaseRepo.use((leases) =>
    leases.transaction({ _tag: "Pair", secretName, clientId }, (tx) => {
      const lease = makeLease({ id: randomUUID(), secretName, clientId, ttl: hour, now: tx.now })
      for (const old of tx.ofPair(secretName, clientId)) tx.end(old, replaceFact(old, lease, hour))
      tx.issue(lease, acquireFact(lease, hour))
      return Result.succeed(lease)
    })
  )

const storeIn = (directory: string) => sha256(fs.readFileSync(path.join(directory, "secrets.age")))
const headOf = (directory: string) => JSON.parse(fs.readFileSync(path.join(directory, "audit.head.json"), "utf8"))

const teamOf = (printed: any): object => printed.result.team

const activeCount = LeaseRepo.use(({ active }) => Effect.map(active, (all) => all.length))

describe.runIf(postgresPrograms !== undefined)("a team", () => {
  const team = sharedTeam(3)
  /** The services of a machine, as a new process has them. */
  const machine = (directory: string, name = "m1") =>
    Layer.build(Layer.fresh(machineIn(directory, team.settings(name))))

  /** Runs a program as one process of a machine. */
  const once = <A, E>(directory: string, program: Effect.Effect<A, E, LeaseRepo>) =>
    Effect.scoped(Effect.flatMap(machine(directory), (context) => Effect.provide(program, context)))

  leaseRepoSuite(
    "in PostgreSQL",
    Layer.unwrap(
      Effect.map(temporaryDirectory, (directory) => {
        // The tests begin at 1970, as their clock does.
        team.reset("to_timestamp(0) - clock_timestamp()")
        return machineIn(directory, team.settings())
      })
    ),
    {
      idOf,
      adjust: (millis) =>
        Effect.andThen(
          TestClock.adjust(millis),
          Effect.sync(() => team.sql(`update team.state set clock_offset = clock_offset + interval '${millis} ms'`))
        )
    }
  )

  it.live("runs the machines of the example as its compose file starts them", () =>
    Effect.gen(function* () {
      const example = path.resolve(import.meta.dirname, "../../examples/team")
      const compose = fs.readFileSync(path.join(example, "compose.yaml"), "utf8")
      const [cluster, place] = [team.cluster(), yield* temporaryDirectory]
      cluster.sql("create database example")
      const [programs = "", exchange = ""] = ["bin", "exchange"].map((name) => path.join(place, name))
      for (const directory of [programs, exchange]) fs.mkdirSync(directory)
      fs.writeFileSync(path.join(programs, "secrets"), `#!/bin/sh\nexec ${shellWords} "$@"\n`, { mode: 0o755 })
      const environment = {
        PATH: `${programs}:${path.dirname(process.execPath)}:${process.env["PATH"]}`,
        ADMIN_URL: cluster.url("postgres", "example"),
        EXCHANGE: exchange
      }
      const [first = "", second = ""] = yield* Effect.forEach(["m1", "m2"], (name) => {
        assert.include(compose, `command: [sh, /team/${name}.sh]`)
        const home = path.join(place, name)
        fs.mkdirSync(home)
        const start = Effect.sync(() =>
          spawn("sh", [path.join(example, `${name}.sh`)], {
            env: { ...environment, HOME: home },
            stdio: "ignore",
            detached: true
          })
        )
        return Effect.as(
          Effect.acquireRelease(start, ({ pid = 0 }) => Effect.ignore(Effect.try(() => process.kill(-pid, "SIGKILL")))),
          home
        )
      })
      yield* until(() => fs.existsSync(path.join(second, ".agent-secrets/agent-secrets.sock")))
      const added = yield* run(["add", "shared"], { home: first, stdin: "a-made-up-value" })
      assert.deepStrictEqual([added.status, added.stderr], [0, ""])
      const leased = yield* run(["lease", "shared"], { home: second })
      assert.deepStrictEqual([leased.status, leased.stdout], [0, "a-made-up-value"], leased.stderr)
    })
  )

  it.live("misses no secret that changes while a machine looks", () =>
    Effect.gen(function* () {
      team.reset()
      const { directory } = team.cluster()
      const psql = path.join(postgresPrograms ?? "", "psql")
      const other = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(psql, ["-h", directory, "-U", "postgres", "-d", "team", "-q"], { stdio: ["pipe", "ignore", "inherit"] })
        ),
        (session) => Effect.sync(() => void session.kill("SIGKILL"))
      )
      const locks = (isGranted: boolean) => () =>
        team.sql(
          `select count(*) from pg_locks where relation = 'team.leases'::regclass and granted = ${isGranted}`
        ) !== "0"
      const settings = team.settings()
      const context = yield* Layer.build(
        Layer.fresh(machineIn(yield* temporaryDirectory, settings, Duration.seconds(30)))
      )
      const looks = yield* Effect.provide(Team, context)
      const { revision } = yield* looks.look(lookAtNothing)
      // The count of leases is what the look waits for, after it has read the secrets.
      other.stdin.write("begin; lock table team.leases in access exclusive mode;\n")
      yield* until(locks(true))
      const looked = yield* Effect.forkChild(looks.look({ ...lookAtNothing, count: true }), { startImmediately: true })
      yield* until(locks(false))
      other.stdin.write(`update team.state set revision = revision + 1;
        update team.secrets set version = version + 1, changed = ${revision + 1} where name = 'db'; commit;\n`)
      const found = [yield* Fiber.join(looked), yield* looks.look(lookAtNothing)]
      assert.deepStrictEqual(found.at(-1)?.revision, revision + 1)
      assert.include(
        found.flatMap(({ secrets }) => secrets.map(({ name }) => name)),
        "db"
      )
    })
  )

  it.live("has one lease of a pair, whichever machine is asked, and every chain is whole", () =>
    Effect.gen(function* () {
      team.reset()
      const directories = yield* Effect.all([temporaryDirectory, temporaryDirectory, temporaryDirectory])
      const taken = yield* Effect.scoped(
        Effect.gen(function* () {
          const machines = yield* Effect.forEach(directories, (directory, at) => machine(directory, `m${at + 1}`))
          const clients = machines.flatMap((context) => ["a", "b", "c"].map((client) => ({ client, context })))
          const work = ({ client, context }: (typeof clients)[number]) =>
            Effect.provide(Effect.replicateEffect(Effect.exit(take("db", client)), 10), context)
          return (yield* Effect.forEach(clients, work, { concurrency: "unbounded" })).flat().filter(Exit.isSuccess)
        })
      )
      assert.isAbove(taken.length, 60)
      const entries = directories.flatMap(auditOf)
      const acquired = entries.filter(({ action }) => action === "lease_acquire").map(({ lease_id }) => lease_id)
      const ended = entries.filter(({ action }) => action === "lease_replace").map(({ lease_id }) => lease_id)
      for (const { value } of taken) assert.include(acquired, value.id)
      assert.strictEqual(new Set(ended).size, ended.length)
      const rows = team.sql("select id from team.leases").split("\n")
      assert.deepStrictEqual(rows.toSorted(), acquired.filter((id) => !ended.includes(id)).toSorted())
      assert.strictEqual(rows.length, 3)
      for (const directory of directories) {
        assert.deepStrictEqual((yield* verifyAuditLog(path.join(directory, "audit.log"), {})).findings, [])
      }
    }).pipe(Effect.scoped)
  )

  it.live("issues nothing while the server is away, and again when it is back", () =>
    Effect.gen(function* () {
      team.reset()
      const context = yield* machine(yield* temporaryDirectory)
      const { commits, settled } = yield* Effect.provide(
        Effect.gen(function* () {
          const audit = yield* AuditLog
          yield* Effect.forkScoped((yield* Team).keepUp(audit.append([])))
          return { commits: take("db", "w"), settled: Effect.map(Effect.exit(take("db", "w")), Exit.isSuccess) }
        }),
        context
      )
      yield* Effect.provide(commits, context)
      yield* Effect.acquireUseRelease(
        Effect.sync(() => team.cluster().stop("immediate")),
        () =>
          Effect.gen(function* () {
            const refused = yield* Effect.flip(Effect.provide(commits, context))
            assert.strictEqual(refused.cause._tag, "TeamAway")
            assert.match(refused.message, /^nothing was issued or changed, because the team's database is away: /)
          }),
        () => Effect.sync(() => team.cluster().start())
      )
      yield* Effect.repeat(Effect.andThen(Effect.sleep("20 millis"), Effect.provide(settled, context)), {
        until: (done) => done
      })
      assert.strictEqual(yield* Effect.provide(activeCount, context), 1)
    }).pipe(Effect.scoped)
  )

  it.live("never commits a statement that was given up", () =>
    Effect.gen(function* () {
      team.reset()
      const directory = yield* temporaryDirectory
      const layer = machineIn(directory, { ...team.settings(), timeout: 60_000_000_000n }, Duration.millis(200))
      const context = yield* Layer.build(layer)
      const exits = yield* Effect.provide(
        Effect.gen(function* () {
          const audit = yield* AuditLog
          const first = yield* Effect.exit(take("db", "w"))
          // Holds up the statement for longer than the machine waits.
          team.sql(
            "create function team.hold() returns trigger language plpgsql as 'begin perform pg_sleep(0.5); return new; end'"
          )
          team.sql("create trigger hold before insert on team.leases for each row execute function team.hold()")
          const second = yield* Effect.exit(take("db", "w"))
          team.sql("drop function team.hold cascade")
          yield* Effect.forkScoped((yield* Team).keepUp(audit.append([])))
          const third = Effect.exit(take("db", "w"))
          return [first, second, yield* Effect.repeat(third, { until: Exit.isSuccess })]
        }),
        context
      )
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false, true])
      const chain = team.sql("select line from team.audit where machine = 1 order by seq")
      assert.strictEqual(`${chain}\n`, fs.readFileSync(path.join(directory, "audit.log"), "utf8"))
      assert.strictEqual(team.sql("select count(*) from team.leases"), "1")
    }).pipe(Effect.scoped)
  )

  it.live("refuses a process of a machine after a newer one of it has started", () =>
    Effect.gen(function* () {
      team.reset()
      const directory = yield* temporaryDirectory
      const older = yield* machine(directory)
      yield* Effect.provide(take("db", "w"), older)
      const copy = yield* temporaryDirectory
      fs.cpSync(directory, copy, { recursive: true })
      const newer = yield* machine(copy)
      yield* Effect.provide(take("db", "w"), newer)
      const refused = yield* Effect.flip(Effect.provide(take("db", "w"), older))
      assert.match(refused.message, /another process writes as this machine/)
      // It tries to come back, as after a freeze, and does not take the place of the newer one.
      const state = yield* Effect.provide(
        Effect.gen(function* () {
          const [audit, own] = [yield* AuditLog, yield* Team]
          yield* Effect.forkScoped(own.keepUp(audit.append([])))
          yield* until(() => own.state()._tag === "Stopped")
          return own.state()
        }),
        older
      )
      assert.include(state, { _tag: "Stopped", reason: `another process writes as this machine; ${needsRestart}` })
      yield* Effect.provide(take("db", "w"), newer)
    }).pipe(Effect.scoped)
  )

  it.live("states which side is older where the functions of the database are others", () =>
    Effect.gen(function* () {
      team.reset()
      const refusal = Effect.scoped(
        Effect.gen(function* () {
          const context = yield* machine(yield* temporaryDirectory)
          return (yield* Effect.flip(Effect.provide(take("db", "w"), context))).message
        })
      )
      const rename = (from: string, to: string) => team.sql(`alter function team.${from}(text) rename to ${to}`)
      rename("look_1", "look_2")
      const newer = yield* refusal
      rename("look_2", "look_0")
      const older = yield* refusal
      rename("look_0", "look_1")
      assert.match(newer, /the functions of the database are newer than this program: update it$/)
      assert.match(older, /are older than this program, or missing: secrets team migrate$/)
    })
  )

  it.live("goes on with functions that are a little older, and says what they lack", () =>
    Effect.gen(function* () {
      team.reset()
      const context = yield* machine(yield* temporaryDirectory)
      yield* Effect.provide(take("db", "w"), context)
      // As one of before answers a question that it does not know.
      const definition = team.sql("select pg_get_functiondef('team.read_1'::regproc)")
      team.sql(definition.replace("when 'others' then", "when 'unknown' then"))
      const { others } = yield* Effect.provide(AuditLog, context)
      assert.include((yield* Effect.flip(others?.nextNotices ?? Effect.void)).reason, "secrets team migrate")
      assert.include((yield* Effect.flip(others?.exposures ?? Effect.void)).reason, "secrets team migrate")
      yield* Effect.provide(take("db", "w"), context)
      team.sql(definition)
      assert.deepStrictEqual(yield* others?.nextNotices ?? Effect.void, [])
    }).pipe(Effect.scoped)
  )

  it.live("ends every lease if the database has lost entries, and puts them back", () =>
    Effect.gen(function* () {
      team.reset()
      const directory = yield* temporaryDirectory
      yield* once(directory, take("db", "before"))
      const backup = team.sql("select audit_seq || ' ' || audit_hash from team.machines where name = 'm1'").split(" ")
      const lease = yield* once(directory, take("mail", "after"))
      // The database as it was before the last lease.
      team.sql(`delete from team.leases where id = '${lease.id}'; delete from team.audit where seq > ${backup[0]};
        update team.machines set audit_seq = ${backup[0]}, audit_hash = '${backup[1]}' where name = 'm1'`)
      const context = yield* machine(directory)
      assert.strictEqual(yield* Effect.provide(activeCount, context), 0)
      yield* Effect.provide(take("db", "again"), context)
      const entries = auditOf(directory)
      assert.deepStrictEqual(
        entries.map(({ action }) => action),
        ["lease_acquire", "lease_acquire", "audit_restored", "lease_acquire"]
      )
      assert.strictEqual(team.sql("select count(*) from team.audit"), String(entries.length))
    }).pipe(Effect.scoped)
  )

  it.live("recovers what a killed process had committed and not copied", () =>
    Effect.gen(function* () {
      team.reset()
      const directory = yield* temporaryDirectory
      yield* once(directory, take("db", "w"))
      const log = path.join(directory, "audit.log")
      const whole = fs.readFileSync(log, "utf8")
      fs.writeFileSync(log, "")
      fs.rmSync(path.join(directory, "audit.head.json"), { force: true })
      const context = yield* machine(directory)
      yield* Effect.provide(take("db", "w"), context)
      assert.isTrue(fs.readFileSync(log, "utf8").startsWith(whole))
      assert.deepStrictEqual((yield* verifyAuditLog(log, {})).findings, [])
    }).pipe(Effect.scoped)
  )

  it("lets a machine call its functions, and change no table", () => {
    team.reset()
    const refused = (text: string) => `
      begin execute $statement$${text}$statement$; raise exception 'it was permitted: %', $statement$${text}$statement$;
      exception when insufficient_privilege or sqlstate 'AS001' or sqlstate 'AS007' then null; end;`
    const tables = ["state", "members", "machines", "secrets", "leases", "revoked", "audit", "audit_default"]
    const columns: Readonly<Record<string, string>> = {
      state: "revision",
      members: "seq",
      machines: "epoch",
      secrets: "version",
      audit: "seq",
      audit_default: "seq"
    }
    const onTables = tables.flatMap((table) => [
      `select * from team.${table}`,
      `delete from team.${table}`,
      `truncate team.${table}`,
      `update team.${table} set ${columns[table] ?? "id"} = null`,
      `insert into team.${table} default values`,
      `drop table team.${table}`
    ])
    const asOther = { machine: 1, epoch: 0, seq: 0, hash: sha256(""), new_hash: sha256(""), lines: [] }
    const statement = JSON.stringify({ seq: 1, prev: "", do: "add", machine: "m4", by: "m2" })
    const add = `select team.member_1('${JSON.stringify({ machine: "m2", statement, sig: "" })}')`
    // One that says nothing to do would stop every machine.
    const empty = JSON.stringify({ machine: "m2", statement: JSON.stringify({ seq: 1 }), sig: "" })
    const calls = [
      `select team.put_1('${JSON.stringify(asOther)}')`,
      `select team.look_1('{"machine":"m1"}')`,
      add,
      `select team.member_1('${empty}')`
    ]
    const body = [...onTables, ...calls].map(refused).join("")
    team.sql(`set session authorization as_m2; do $all$ begin ${body} end $all$`)
  })

  it("counts restores of the database from its own number, whatever a machine states", () => {
    team.reset()
    const input = { machine: "m2", process: "p", program: "", seq: 99_999_999, hash: "x", incarnation: 2 ** 52 }
    team.sql(`set session authorization as_m2; select team.enter_1('${JSON.stringify(input)}')`)
    assert.strictEqual(team.sql("select incarnation from team.state"), "2")
  })

  it("finds the leases that a batch looks at by their indexes", () => {
    team.reset()
    const id = idOf("looked at")
    team.sql(
      `insert into team.leases values ('${id}', decode('${sha256("db\0w")}', 'hex'), 'db', 'w', 1, now(), now() + interval '1 h')`
    )
    const sought = {
      pairs: [sha256("db\0w")],
      ids: [id],
      prefixes: [id.slice(0, 9), "no id"],
      secrets: ["db"],
      due: 200
    }
    const request = { machine: "m1", ...sought, all: false, count: false, revision: 0 }
    // Of a small table, the planner would read all of it.
    const [looked = "", scans] = team
      .sql(
        `set session authorization as_m1; set enable_seqscan = off; begin;
         select team.look_1('${JSON.stringify(request)}');
         select seq_scan from pg_stat_xact_user_tables where relid = 'team.leases'::regclass; commit`
      )
      .split("\n")
    assert.deepStrictEqual(
      JSON.parse(looked).leases.map((lease: any) => lease.id),
      [id]
    )
    assert.strictEqual(scans, "0")
  })

  it.live("is joined, used and left with the commands, and the server never has a value", () =>
    Effect.gen(function* () {
      const value = "made-up-value-of-a-team-5Rw"
      const home = yield* temporaryDirectory
      const config = path.join(home, ".agent-secrets", "config.json")
      const secrets = (args: ReadonlyArray<string>, stdin?: string) =>
        run(args, { home, ...(stdin === undefined ? {} : { stdin }) })
      const files = path.dirname(config)
      const begun = Date.now()
      team.cluster().sql("create database joined")
      const url = team.cluster().url("postgres", "joined")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* startDaemon({ home })
          yield* secrets(["add", "db"], value)
        })
      )
      const plain = secrets(["team", "init", "--admin-url", "postgres://postgres@192.0.2.1/joined", "--name", "m9"])
      const init = secrets(["team", "init", "--admin-url", url, "--name", "m9", "--json"])
      const [refused, joined] = [yield* plain, yield* init]
      assert.strictEqual(refused.status, 78)
      assert.include(refused.stderr, "--admin-url must have sslmode=verify-full")
      assert.strictEqual(joined.status, 0, joined.stdout)
      fs.writeFileSync(config, JSON.stringify({ team: JSON.parse(joined.stdout).result.team }))
      const inherited = yield* run(["serve"], { home, env: { PGPASSWORD: "made-up" } })
      assert.strictEqual(inherited.status, 78)
      assert.include(inherited.stderr, "PGPASSWORD is set")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* startDaemon({ home })
          assert.strictEqual((yield* secrets(["lease", "db", "--client-id", "w"])).stdout, value)
          yield* secrets(["add", "gone"], "made-up-and-deleted")
          assert.strictEqual((yield* secrets(["delete", "gone", "--yes"])).status, 0)
          // As the owner of the database: the ciphertext of another secret in place of this one.
          yield* secrets(["add", "swapped"], "made-up-and-swapped")
          team.cluster().sql(
            `update team.state set revision = revision + 1;
             update team.secrets set version = 2, changed = (select revision from team.state),
               sealed = (select sealed from team.secrets where name = 'db') where name = 'swapped'`,
            "joined"
          )
          assert.strictEqual((yield* secrets(["lease", "swapped"])).status, 4)
          const refused = auditOf(path.join(home, ".agent-secrets")).find(({ action }) => action === "value_refused")
          assert.include(refused, { secret_name: "swapped", details: "it is another version than the database states" })
          assert.match((yield* secrets(["team", "status"])).stdout, /^m9 \(this machine\) +active/m)
          // The end of the scope kills the daemon. One that is killed between the two files leaves a finding.
          yield* until(() => storeIn(files) === headOf(files).store)
        })
      )
      // Writes everything to its files, none of which vanishes while it is read.
      team.cluster().stop()
      let haveTheName = 0
      for (const entry of fs.readdirSync(team.cluster().directory, { recursive: true, withFileTypes: true })) {
        const file = path.join(entry.parentPath, entry.name)
        // What is older than the value has it not.
        if (!entry.isFile() || fs.statSync(file).mtimeMs < begun) continue
        const bytes = fs.readFileSync(file)
        assert.deepStrictEqual(formsIn(bytes, value), [], file)
        if (bytes.includes("swapped")) haveTheName += 1
      }
      assert.isAtLeast(haveTheName, 2, "the table and its log are among the files")
      team.cluster().start()
      const [store, backup] = ["secrets.age", "secrets.age.bak"].map((name) =>
        fs.readFileSync(path.join(home, ".agent-secrets", name))
      )
      assert.deepStrictEqual(backup, store, "the backup may have what was deleted")
      const left = yield* secrets(["team", "leave", "--keep-secrets"])
      assert.strictEqual(left.status, 0, left.stderr)
      assert.include(left.stdout, "1 lease is revoked, 1 secret kept")
      fs.writeFileSync(config, "{}")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* startDaemon({ home })
          assert.include((yield* secrets(["leases"])).stdout, "no active leases")
          assert.strictEqual((yield* secrets(["lease", "db"])).stdout, value)
        })
      )
      const verified = yield* secrets(["audit", "--verify"])
      assert.strictEqual(verified.status, 0, verified.stdout)
    }).pipe(Effect.scoped)
  )

  it.live("gives a directory of the predecessor back as it was, with what the team adds to the log", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const directory = path.join(home, ".agent-secrets")
      fs.cpSync(path.resolve(import.meta.dirname, "../fixtures/go-running"), directory, { recursive: true })
      for (const file of fs.readdirSync(directory)) fs.chmodSync(path.join(directory, file), 0o600)
      const [store, log] = [yield* readStore(directory), fs.readFileSync(path.join(directory, "audit.log"), "utf8")]
      team.cluster().sql("create database go")
      const init = ["team", "init", "--admin-url", team.cluster().url("postgres", "go"), "--name", "m6", "--json"]
      const founded = yield* run(init, { home })
      assert.strictEqual(founded.status, 0, founded.stderr)
      const { result } = JSON.parse(founded.stdout)
      assert.strictEqual(result.imported, Object.keys(JSON.parse(store).secrets).length)
      fs.writeFileSync(path.join(directory, "config.json"), JSON.stringify({ team: result.team }))
      assert.strictEqual((yield* run(["team", "leave", "--keep-secrets"], { home })).status, 0)
      assert.strictEqual(yield* readStore(directory), store)
      assert.isTrue(fs.readFileSync(path.join(directory, "audit.log"), "utf8").startsWith(log))
      const leases = JSON.parse(fs.readFileSync(path.join(directory, "leases.json"), "utf8")) ?? []
      assert.isTrue(leases.every(({ revoked }: any) => revoked))
    })
  )

  it.live("takes a directory of the predecessor in, and gives it back although the database is gone", () =>
    Effect.gen(function* () {
      const [first, home] = [yield* temporaryDirectory, yield* temporaryDirectory]
      const directory = path.join(home, ".agent-secrets")
      fs.cpSync(path.resolve(import.meta.dirname, "../fixtures/go-running"), directory, { recursive: true })
      for (const file of fs.readdirSync(directory)) fs.chmodSync(path.join(directory, file), 0o600)
      const [store, log] = [yield* readStore(directory), fs.readFileSync(path.join(directory, "audit.log"), "utf8")]
      const done = (at: string, ...args: ReadonlyArray<string>) =>
        Effect.map(run(["team", ...args, "--json"], { home: at }), (ended) => {
          assert.strictEqual(ended.status, 0, ended.stdout + ended.stderr)
          return JSON.parse(ended.stdout).result
        })
      const configure = (at: string, { team: section }: any, more: object = {}) =>
        fs.writeFileSync(path.join(at, ".agent-secrets/config.json"), JSON.stringify({ team: { ...section, ...more } }))
      const [request, invitation] = [path.join(first, "request"), path.join(first, "invitation")]
      team.cluster().sql("create database taken")
      const admin = ["--admin-url", team.cluster().url("postgres", "taken")]
      configure(first, yield* done(first, "init", ...admin, "--name", "m4"))
      const early = yield* run(["team", "join", invitation], { home: yield* temporaryDirectory })
      assert.include(early.stderr, "the invitation cannot be read")
      fs.writeFileSync(request, (yield* run(["team", "request", "--name", "m5"], { home })).stdout)
      yield* done(first, "add", request, ...admin, "--out", invitation, "--yes")
      const joined = yield* done(home, "join", invitation, "--import")
      assert.strictEqual(joined.imported, Object.keys(JSON.parse(store).secrets).length)
      configure(home, joined, { url: "postgres://as_m5@localhost/taken?host=/nowhere" })
      const away = yield* run(["team", "leave", "--keep-secrets"], { home })
      assert.strictEqual(away.status, 3)
      assert.match(away.stderr, /ENOENT[^]*If it will not, [^]*--without-database/)
      yield* done(home, "leave", "--keep-secrets", "--without-database")
      assert.strictEqual(yield* readStore(directory), store)
      assert.isTrue(fs.readFileSync(path.join(directory, "audit.log"), "utf8").startsWith(log))
      const leases = JSON.parse(fs.readFileSync(path.join(directory, "leases.json"), "utf8")) ?? []
      assert.isTrue(leases.every(({ revoked }: any) => revoked))
    }).pipe(Effect.scoped)
  )

  it.live("takes a machine in and out with the commands, and verifies the logs of both", () =>
    Effect.gen(function* () {
      const value = "made-up-value-of-two-machines"
      team.cluster().sql("create database two")
      const admin = ["--admin-url", team.cluster().url("postgres", "two")]
      const [one, two] = [yield* temporaryDirectory, yield* temporaryDirectory]
      const secrets = (home: string, args: ReadonlyArray<string>, stdin?: string) =>
        run(args, { home, ...(stdin === undefined ? {} : { stdin }) })
      /** Runs a command that ends with this status, and returns its result. */
      const done = (home: string, args: ReadonlyArray<string>, status = 0) =>
        Effect.map(secrets(home, [...args, "--json"]), (ended) => {
          assert.strictEqual(ended.status, status, ended.stdout + ended.stderr)
          return JSON.parse(ended.stdout)
        })
      const configure = (home: string, section: object) =>
        fs.writeFileSync(
          path.join(home, ".agent-secrets", "config.json"),
          JSON.stringify({ team: { ...section, beat: "100ms" } })
        )
      const [request, invitation] = [path.join(two, "request"), path.join(two, "invitation")]

      const both = { concurrency: 2 }
      const founding = done(one, ["team", "init", ...admin, "--name", "m8"])
      const asking = secrets(two, ["team", "request", "--name", "m7"])
      const [founded, asked] = yield* Effect.all([founding, asking], both)
      configure(one, teamOf(founded))
      const [, words = ""] = /the words of m7: (.*)/.exec(asked.stderr) ?? []
      fs.writeFileSync(request, asked.stdout)
      const { stop } = yield* startDaemon({ home: one })
      yield* secrets(one, ["add", "db"], value)
      const added = yield* secrets(one, ["team", "add", request, ...admin, "--out", invitation, "--yes"])
      assert.strictEqual(added.status, 0, added.stderr)
      assert.include(added.stderr, words)
      assert.include(added.stdout, "m7 is in the team; values: 1/1 sealed for the machines of the list")
      // Broken off and repeated, it gives another password and another invitation.
      const again = done(one, ["team", "add", request, ...admin, "--out", invitation, "--yes"])
      const joinTwice = done(one, ["team", "join", invitation], 73)
      yield* Effect.all([again, joinTwice], both)
      configure(two, teamOf(yield* done(two, ["team", "join", invitation])))
      const { stop: stopTwo } = yield* startDaemon({ home: two })
      assert.strictEqual((yield* secrets(two, ["lease", "db", "--client-id", "w"])).stdout, value)
      // What ends a lease on one machine ends the program on the other.
      const program = start(["exec", "--secret", "db=DB", "--client-id", "runner", "--", "sleep", "600"], { home: two })
      yield* until(() => auditOf(path.join(two, ".agent-secrets")).some(({ action }) => action === "run_begin"))
      const revoked = (yield* secrets(one, ["revoke", "--client-id", "runner"])).stdout
      assert.match(revoked, /^revoked 1 lease\nPrograms on the other machines of the team get a notice/)
      assert.include((yield* Effect.promise(() => program.ended)).stderr, '"db" was revoked; stopping the program')
      // Each machine tells who was given the value on the other one.
      const exposed = yield* done(one, ["exposure", "db"])
      assert.deepInclude(
        exposed.result.clients.map(({ client_id, machine }: any) => [client_id, machine]),
        ["w", "m7"]
      )
      assert.isTrue(exposed.result.complete, JSON.stringify(exposed.result.incomplete_because))
      // It loses team.json: it joins again with its invitation, and no lease ends.
      yield* stopTwo()
      const memory = path.join(two, ".agent-secrets", "team.json")
      fs.writeFileSync(memory, fs.readFileSync(memory, "utf8").slice(0, -3))
      const lost = yield* startDaemon({ home: two })
      yield* done(two, ["lease", "db"], 5)
      assert.include((yield* secrets(two, ["status"])).stderr, "Fix the cause, then: secrets daemon restart")
      yield* lost.stop()
      assert.isTrue(fs.readdirSync(path.dirname(memory)).some((name) => name.startsWith("team.json.damaged-")))
      fs.writeFileSync(path.join(two, ".agent-secrets", "config.json"), "{}")
      const alone = yield* run(["serve"], { home: two })
      assert.strictEqual(alone.status, 78)
      assert.include(alone.stderr, "config.json has no section team")
      const leases = (yield* done(one, ["leases"])).result.total
      const rejoined = yield* done(two, ["team", "join", invitation])
      assert.isTrue(rejoined.result.again)
      configure(two, teamOf(rejoined))
      yield* startDaemon({ home: two })
      assert.strictEqual((yield* secrets(two, ["lease", "db", "--client-id", "w"])).stdout, value)
      assert.strictEqual((yield* done(one, ["leases"])).result.total, leases)
      const group = ["team", "group", "add", "prod"]
      const unknown = done(one, [...group, "nobody"], 4)
      const [refused] = yield* Effect.all([done(two, [...group, "m7"], 1), unknown], both)
      assert.include(refused.error.message, "m7 is not an admin machine")
      const verified = yield* done(one, ["audit", "--verify", "--team"])
      assert.deepStrictEqual(verified.result.findings, [])

      const removed = yield* done(one, ["team", "remove", "m7", ...admin, "--yes"], 1)
      assert.deepStrictEqual(
        removed.result.exposed.map(({ handed, secret }: any) => [secret, handed !== undefined]),
        [["db", true]]
      )
      yield* done(two, ["lease", "db"], 5)
      const stillExposed = yield* done(one, ["exposure", "--client-id", "w"], 1)
      assert.isFalse(stillExposed.result.secrets[0].changed_since)
      yield* secrets(one, ["update", "db"], `${value}, changed`)
      yield* done(one, ["exposure", "--client-id", "w"])
      assert.deepStrictEqual((yield* done(one, ["team", "exposure", "m7"])).result.exposed, [])

      yield* stop()
      const sql = (text: string) => team.cluster().sql(text, "two")
      const hashOf = (seq: string) =>
        `(select encode(sha256(convert_to(line || E'\\n', 'UTF8')), 'hex') from team.audit where machine = 1 and seq = ${seq})`
      /** Verifies the logs; the verdicts of this machine are these, and the hint includes this. */
      const finds = (kinds: ReadonlyArray<string>, hint: string, ...options: ReadonlyArray<string>) =>
        Effect.map(done(one, ["audit", "--verify", "--team", ...options], 1), ({ fix, result }) => {
          assert.deepStrictEqual(
            result.findings.map(({ kind, machine }: any) => [machine, kind]),
            kinds.map((kind) => ["m8", kind])
          )
          assert.include(fix, hint)
        })
      // The database loses its last entry, and says that it did not: nothing takes that back.
      sql("delete from team.audit a using team.machines m where m.id = 1 and a.machine = 1 and a.seq = m.audit_seq")
      yield* finds(["BEHIND", "TRUNCATED"], "Compare the database with a backup", "--repair")
      // It is older.
      sql(`update team.machines set audit_seq = audit_seq - 1, audit_hash = ${hashOf("audit_seq - 1")} where id = 1`)
      yield* finds(["BEHIND"], "secrets audit --verify --team --repair")
      const repaired = yield* done(one, ["audit", "--verify", "--team", "--repair"])
      assert.deepStrictEqual(repaired.result.findings, [])
      // Its owner edits the last entry.
      sql(`update team.audit set line = replace(line, '"action":"', '"action":"x') from team.machines m
             where m.id = 1 and machine = 1 and seq = m.audit_seq;
           update team.machines set audit_hash = ${hashOf("audit_seq")} where id = 1`)
      yield* finds(["FORKED"], "Compare the database with a backup", "--repair")
    }).pipe(Effect.scoped)
  )
})

if (postgresPrograms === undefined)
  it("a team is not tested, because there is no PostgreSQL server here", () => undefined)
