/**
 * `secrets scan` and `secrets cleanup` in real trees and repositories, with a real daemon.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { execFileSync, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { formsIn } from "../support/leaks.ts"
import { auditOf, startDaemon } from "../harness/daemon.ts"
import { isScript, run, shellWords, start } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { randomFrom } from "../support/random.ts"
import { scanRounds } from "../torture/scan.ts"

const value = "made+up/value of 'the' database"
const token = ["gh", "p_", "abcdefghijKLMNOPQRST0123456789uvwxyz"].join("")

/** By default, a scan repeats a request that was not answered within half a second, and both are recorded. */
const patiently = ["--timeout", "60"]

/** A daemon with secrets, and a directory to scan. */
const setup = Effect.gen(function* () {
  const home = yield* temporaryDirectory
  const tree = yield* temporaryDirectory
  const env = { PATH: process.env["PATH"] ?? "", GIT_CONFIG_NOSYSTEM: "1" }
  const daemon = yield* startDaemon({ home })
  yield* run(["add", "db"], { home, stdin: value })
  yield* run(["add", "pin"], { home, stdin: "1234" })
  /** Runs in the tree, as from a hook of another repository. */
  const secrets = (...args: ReadonlyArray<string>) =>
    run(args, { home, env: { ...env, TREE: tree, GIT_DIR: "/nonexistent" }, through: 'cd "$TREE" && exec "$@"' })
  const git = (...args: ReadonlyArray<string>) =>
    spawnSync("git", ["-c", "user.name=x", "-c", "user.email=x@example.com", ...args], {
      cwd: tree,
      encoding: "utf8",
      env: { ...env, HOME: home }
    })
  const write = (name: string, text: string) => {
    fs.mkdirSync(path.dirname(path.join(tree, name)), { recursive: true })
    fs.writeFileSync(path.join(tree, name), text)
  }
  return { home, tree, daemon, secrets, git, write }
})

/** Runs in a directory that was removed. */
const inRemovedDirectory = (home: string, ...args: ReadonlyArray<string>) =>
  run(args, {
    home,
    env: { PATH: process.env["PATH"] ?? "" },
    through: 'mkdir "$HOME/gone" && cd "$HOME/gone" && rmdir "$HOME/gone" && exec "$@"'
  })

describe.runIf(isScript)("in a directory that was removed", () => {
  it.live("scan, env and exec report that the directory was removed", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      for (const args of [
        ["scan", "--no-own"],
        ["env", "--dry-run"],
        ["exec", "--", "true"]
      ]) {
        const { status, stderr } = yield* inRemovedDirectory(home, ...args)
        assert.deepStrictEqual(
          [status, stderr.split("\n").filter((line) => line.includes("secrets "))],
          [2, [`secrets ${args[0]}: the current directory was removed`]]
        )
      }
    })
  )
})

const filesOf = (stdout: string): ReadonlyArray<string> =>
  JSON.parse(stdout).result.findings.map(({ file, line }: { file: string; line: number }) => `${file}:${line}`)

describe("secrets scan", () => {
  it.live("finds the store's values in a repository, names their secrets, and prints no value", () =>
    Effect.gen(function* () {
      const { daemon, git, secrets, tree, write } = yield* setup
      git("init", "-q")
      write(".gitignore", "ignored\n")
      write("plain.txt", `one\ntwo ${value}\n`)
      write("deep/encoded.yml", `auth: ${Buffer.from(`user:${value}`).toString("base64")}\npin: 1234\n`)
      write("deep/ignored/copy", value)
      write("token", `${token}\n`)
      write("name with blank", "nothing")
      fs.symlinkSync(daemon.directory, path.join(tree, "link"))
      execFileSync("mkfifo", [path.join(tree, "fifo")])
      git("add", "plain.txt")

      const found = yield* secrets("scan", ...patiently)
      assert.strictEqual(found.status, 1)
      assert.match(found.stdout, /^deep\/encoded\.yml:1 +critical +the value of "db"$/m)
      assert.match(found.stdout, /^plain\.txt:2 +critical +the value of "db"$/m)
      assert.match(found.stdout, /^token:1 +critical +GitHub token +[0-9a-f]{12}$/m)
      assert.match(found.stdout, /^too short to search for: pin$/m)
      assert.match(found.stderr, /^secrets scan: 3 possible secrets in 3 files, of 5 files/)

      const [all, named, flat] = yield* Effect.all(
        [
          secrets("scan", "--no-ignore", "--own-only", "--json", ...patiently),
          secrets("scan", "deep/ignored", "token", "--path", "plain.txt", "--json", ...patiently),
          secrets("scan", "--no-recursive", "--exclude", "token,nothing", "--json", ...patiently)
        ],
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(filesOf(all.stdout), ["deep/encoded.yml:1", "deep/ignored/copy:1", "plain.txt:2"])
      assert.deepStrictEqual(filesOf(named.stdout), ["deep/ignored/copy:1", "plain.txt:2", "token:1"])
      assert.deepStrictEqual(filesOf(flat.stdout), ["plain.txt:2"])
      for (const { stderr, stdout } of [found, all, named, flat]) {
        assert.deepStrictEqual(formsIn(Buffer.from(stdout + stderr), value), [])
        assert.notInclude(stdout + stderr, token)
      }

      const entries = auditOf(daemon.directory).filter(({ action }) => action.startsWith("scan_"))
      assert.deepStrictEqual(
        entries.slice(0, 2).map(({ action, secret_name }) => [action, secret_name]),
        [
          ["scan_begin", undefined],
          ["scan_match", "db"]
        ]
      )
      assert.lengthOf(entries, 8)
    })
  )

  it.live("prevents a commit of staged values, as they are staged, also without a daemon", () =>
    Effect.gen(function* () {
      const { daemon, git, home, secrets, tree, write } = yield* setup
      git("init", "-q")
      const hook = path.join(tree, ".git", "hooks", "pre-commit")
      fs.mkdirSync(path.dirname(hook), { recursive: true })
      const command = `exec ${shellWords} scan --staged --socket "${daemon.socket}"`
      fs.writeFileSync(hook, `#!/bin/sh\n${command}\n`, { mode: 0o755 })

      write("a b\n.txt", value)
      write("deep/big.txt", "x\n".repeat(700_000) + value)
      git("add", ".")
      write("a b\n.txt", "clean now")
      const refused = git("commit", "-m", "x")
      assert.strictEqual(refused.status, 1, refused.stderr)
      // git prints the output of a hook on standard error.
      assert.include(refused.stderr + refused.stdout, "a b\\n.txt:1")
      assert.include(refused.stderr + refused.stdout, "deep/big.txt:700001")

      write("deep/big.txt", "clean")
      git("add", ".")
      write("a b\n.txt", value)
      const committed = git("commit", "-m", "x")
      assert.strictEqual(committed.status, 0, committed.stderr)
      // A commit of named paths uses a separate index, which the environment names.
      assert.strictEqual(git("commit", "-m", "x", "a b\n.txt").status, 1)

      yield* daemon.stop()
      write("deep/big.txt", token)
      const without = git("commit", "-am", "x")
      assert.strictEqual(without.status, 1)
      assert.include(without.stderr, "the values of the store were not compared: the daemon is not running")
      const ended = yield* secrets("scan", "deep", "--json", "--timeout", "0.2")
      assert.strictEqual(ended.stderr, "")
      assert.include(JSON.parse(ended.stdout).result.own_values.not_compared_because, "the daemon is not running")
      write("clean", "clean")
      const [clean, own, nowhere] = yield* Effect.all(
        [
          secrets("scan", "clean", "--timeout", "0.1"),
          secrets("scan", "--own-only", "--timeout", "0.1"),
          run(["scan", "--staged", "--no-own"], { home, through: 'cd /; exec "$@"' })
        ],
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual([clean.status, clean.stdout], [11, "nothing found in 1 file, 5 bytes\n"])
      assert.deepStrictEqual([own.status, own.stdout], [3, ""])
      assert.deepStrictEqual([nowhere.status, nowhere.stdout], [2, ""])
    })
  )
})

it("secrets scan finds the store's values in any encoding and position, and never prints them", async () => {
  const logged: Array<string> = []
  const rows = await scanRounds({ rounds: 2, random: randomFrom(4), log: (line) => void logged.push(line) })
  assert.deepStrictEqual(
    rows.filter(({ failed, tried }) => failed > 0 || tried === 0),
    [],
    logged.join("\n")
  )
})

describe("secrets cleanup", () => {
  it.live("runs with --watch until it is interrupted, and needs no daemon", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const file = path.join(home, ".env")
      const watching = start(["cleanup", home, "--watch", "--interval", "1s"], { home })
      yield* Effect.addFinalizer(() => Effect.sync(() => watching.child.kill("SIGKILL")))
      const header = "# secrets-managed: true\n# secrets-ttl: 2026-11-22T09:36:19Z\n# secrets-source: store\n"
      fs.writeFileSync(`${file}.new`, `${header}A='x'\n`)
      fs.renameSync(`${file}.new`, file)
      yield* Effect.repeat(
        Effect.sync(() => watching.stdout()),
        { until: (text) => text.includes(`removed ${file}\n`), schedule: Schedule.spaced("10 millis") }
      )
      assert.isFalse(fs.existsSync(file))
      watching.child.kill("SIGINT")
      const ended = yield* Effect.promise(() => watching.ended)
      assert.deepStrictEqual([ended.status, ended.stderr], [130, ""])
    })
  )
})
