/**
 * The checks of `secrets doctor` that look at files: what each finds, and that no finding has a
 * name where the report prints it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { vi } from "vitest"
import type { Examined } from "../../../../src/cli/commands/doctor/examine.ts"
import { runChecks } from "../../../../src/cli/commands/doctor/checks.ts"
import { doctorLines } from "../../../../src/cli/commands/doctor/doctor.ts"
import * as checks from "../../../../src/cli/commands/doctor/fileChecks.ts"
import { checkService } from "../../../../src/cli/commands/doctor/serviceChecks.ts"
import { doctorSetup, found } from "../../../support/doctorSetup.ts"

describe("secrets doctor", () => {
  it.effect("finds nothing wrong with a new store", () =>
    Effect.gen(function* () {
      const { examined } = yield* doctorSetup
      for (const [check, expected] of [
        [checks.checkSettings, "ok: every setting is known"],
        [checks.checkDirectory, "ok: it is yours alone"],
        [checks.checkFiles, "ok: 2 files, readable by you alone"],
        [checks.checkStore, "ok: its key opens it"],
        [checks.checkAudit, "note: there is no audit log yet"],
        [checks.checkClock, "ok: not behind the last audit entry"],
        [checks.checkBackups, "note: key and store share a directory, so a backup of it opens without you"]
      ] as const)
        assert.deepStrictEqual(yield* found(check, examined()), [expected])
      assert.match((yield* found(checks.checkDisk, examined())).join(), /^(ok|warning): \d+ MB free$/)
    })
  )

  it.effect("names keys that are no settings, also deeper ones", () =>
    Effect.gen(function* () {
      const { examined } = yield* doctorSetup
      const settings = examined({ default_lease_tll: "1h", jane: 1, events: { min_levl: "warn" } })
      const [finding] = yield* checks.checkSettings(settings)
      assert.deepInclude(finding, {
        verdict: "warning",
        what: "config.json has 3 keys that this daemon does not know",
        where: "default_lease_tll (default_lease_ttl?), jane, events.min_levl (events.min_level?)"
      })
    })
  )

  it.effect("finds files that others may read, and a directory that they may enter", () =>
    Effect.gen(function* () {
      const { directory, examined, file } = yield* doctorSetup
      fs.chmodSync(directory, 0o755)
      fs.chmodSync(file("identity.age"), 0o640)
      fs.writeFileSync(file("jane.txt"), "")
      fs.chmodSync(file("jane.txt"), 0o644)
      assert.deepStrictEqual(yield* found(checks.checkDirectory, examined()), [
        "warning: others may look into it (mode 755)"
      ])
      fs.chmodSync(file("secrets.age"), 0o604)
      // What the daemon did not put there holds no value.
      assert.deepStrictEqual(yield* found(checks.checkFiles, examined()), [
        "wrong: others may read 2 files",
        "warning: others may read 1 file"
      ])
    })
  )

  it.effect("finds a store without its key, with another key, and one that is locked", () =>
    Effect.gen(function* () {
      const { examined, file } = yield* doctorSetup
      const key = fs.readFileSync(file("identity.age"))
      fs.writeFileSync(file("secrets.age.locked"), "")
      assert.deepStrictEqual(yield* found(checks.checkStore, examined()), [
        "ok: its key opens it",
        "warning: it is locked: no lease and no change"
      ])
      fs.rmSync(file("secrets.age.locked"))
      fs.writeFileSync(file("identity.age"), "AGE-SECRET-KEY-1NONE")
      assert.deepStrictEqual(yield* found(checks.checkStore, examined()), ["wrong: its key does not open it"])
      const fixOf = Effect.map(checks.checkStore(examined()), ([first]) => first?.fix ?? "")
      assert.strictEqual(yield* fixOf, "Restore a good copy, with its identity.age")
      fs.writeFileSync(file("secrets.age.bak"), "")
      assert.match(yield* fixOf, /; \S+secrets\.age\.bak is the store before the last change$/)
      fs.rmSync(file("secrets.age.bak"))
      fs.rmSync(file("identity.age"))
      assert.deepStrictEqual(yield* found(checks.checkStore, examined()), ["wrong: its key is missing"])
      fs.writeFileSync(file("identity.age"), key)
      fs.rmSync(file("secrets.age"))
      assert.deepStrictEqual(yield* found(checks.checkStore, examined()), [
        "wrong: it is missing, although its key exists"
      ])
      fs.rmSync(file("identity.age"))
      assert.deepStrictEqual(yield* found(checks.checkStore, examined()), ["note: there is no store yet"])
    })
  )

  it.effect("finds a key in a git repository, and in a directory that is copied elsewhere", () =>
    Effect.gen(function* () {
      const { directory, examined, home } = yield* doctorSetup
      spawnSync("git", ["init", "-q", home])
      const inRepository = "wrong: the key is in a git repository that does not ignore it"
      assert.deepStrictEqual(yield* found(checks.checkBackups, examined()), [inRepository])
      fs.writeFileSync(path.join(home, ".gitignore"), ".agent-secrets\n")
      assert.match((yield* found(checks.checkBackups, examined())).join(), /^note: key and store/)
      const synced = path.join(home, "Dropbox/keys")
      fs.cpSync(directory, synced, { recursive: true })
      const identity_path = path.join(synced, "identity.age")
      assert.include(
        yield* found(checks.checkBackups, examined({ identity_path })),
        "wrong: the key is in a directory that is copied to other machines"
      )
    })
  )

  it.effect("reports the findings of the audit log by their kinds", () =>
    Effect.gen(function* () {
      const { examined, file } = yield* doctorSetup
      fs.writeFileSync(file("audit.log"), `{"seq":1,"secret_name":"jane"}\n`)
      fs.writeFileSync(file("audit.head.json"), JSON.stringify({ seq: 3, hash: "0".repeat(64), first: 1 }))
      const [finding = ""] = yield* found(checks.checkAudit, examined())
      assert.match(finding, /^wrong: \d+ findings?: [a-z, ]+$/)
    })
  )

  it.effect("leaves the files of another account alone while its daemon answers", () =>
    Effect.gen(function* () {
      const { examined } = yield* doctorSetup
      const counts = { secrets_count: 0, active_leases: 0, store_state: undefined, locked_since: undefined }
      const status = { running: true, started_at: "", ...counts }
      const answering: Examined = {
        ...examined(),
        daemon: Result.succeed({ status, process: undefined, diagnostics: undefined })
      }
      assert.isFalse(checks.isOfDaemonAlone(answering))
      // Root looks after the files of others.
      const owner = process.getuid?.() ?? 0
      yield* Effect.acquireRelease(
        Effect.sync(() => vi.spyOn(process, "getuid").mockReturnValue(owner + 61_234)),
        (spy) => Effect.sync(() => spy.mockRestore())
      )
      assert.isTrue(checks.isOfDaemonAlone(answering))
      assert.deepStrictEqual(yield* found(checks.checkDirectory, answering), [
        "note: it is of the account that the daemon runs as, as are its files"
      ])
      assert.isFalse(checks.isOfDaemonAlone(examined()))
      assert.deepStrictEqual(yield* found(checks.checkDirectory, examined()), ["wrong: it belongs to another user"])
    })
  )

  it.effect("looks for no store where the daemon of another account answers", () =>
    Effect.gen(function* () {
      const { directory, examined, file } = yield* doctorSetup
      for (const name of ["identity.age", "secrets.age"]) fs.rmSync(file(name))
      const socketPath = "/etc/passwd"
      const daemon: any = Result.succeed({ status: { running: true }, process: undefined, diagnostics: undefined })
      const answering: Examined = { ...examined(), socketPath, daemon }
      const storeChecks = ["store", "backups", "audit log", "clock", "lock"]
      const namesOf = (one: Examined) => Effect.map(runChecks(one), (all) => all.map(({ check }) => check))
      assert.includeMembers(yield* namesOf(examined()), storeChecks)
      // Root looks after the files of others.
      if (process.getuid?.() === 0) {
        fs.chownSync(directory, 61_234, 61_234)
        yield* Effect.acquireRelease(
          Effect.sync(() => vi.spyOn(process, "getuid").mockReturnValue(61_234)),
          (spy) => Effect.sync(() => spy.mockRestore())
        )
      }
      const names = yield* namesOf(answering)
      assert.notIncludeMembers(names, storeChecks)
      assert.includeMembers(names, ["directory", "files", "service"])
      assert.deepStrictEqual(yield* found(checkService, answering), [
        "ok: none is needed: the daemon runs as another account"
      ])
    })
  )

  it("breaks what it prints at the width of the terminal, but no command to copy", () => {
    const finding = {
      check: "files",
      verdict: "warning",
      what: "it can be read",
      where: "word ".repeat(20).trim()
    } as const
    const fix = `Run: chmod go= /${"x".repeat(80)}`
    const lines = doctorLines([{ ...finding, fix }], 60)
    assert.deepStrictEqual(
      lines.filter((line) => line.length > 60),
      [`${" ".repeat(20)}${fix}`]
    )
    assert.strictEqual(lines[1], `${" ".repeat(20)}${"word ".repeat(8).trim()}`)
    assert.strictEqual(lines.at(-1), "0 ok, 0 notes, 1 warning, 0 wrong")
    assert.lengthOf(doctorLines([{ ...finding, fix }]), 5)
  })
})
