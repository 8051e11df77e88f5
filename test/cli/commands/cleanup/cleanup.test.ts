/**
 * Expired env files are removed, and nothing else is.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as fs from "node:fs"
import * as path from "node:path"
import { vi } from "vitest"
import { cleanupCommand } from "../../../../src/cli/commands/cleanup/cleanup.ts"
import { managedFiles, removeIfSame, fileReplaced } from "../../../../src/cli/commands/cleanup/managedFiles.ts"
import { isWritten, recordWritten } from "../../../../src/cli/commands/cleanup/writtenFiles.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

const header = (ttl: string) => `# secrets-managed: true\n# secrets-ttl: ${ttl}\n# secrets-source: store\nTOKEN='x'\n`
const moment = Date.parse("2026-11-22T09:36:19Z")
const over = header("2026-11-22T09:36:19Z")

/** Makes files of a tree; gives its path. */
const tree = (files: Readonly<Record<string, string>>) =>
  Effect.map(temporaryDirectory, (root) => {
    for (const [name, content] of Object.entries(files)) {
      fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true })
      fs.writeFileSync(path.join(root, name), content)
    }
    return root
  })

const run = (...args: ReadonlyArray<string>) =>
  Effect.suspend(() => {
    const parsed = cleanupCommand.parse(args)
    return parsed.kind === "run" ? parsed.run() : Effect.die(parsed)
  })

const left = (root: string) =>
  fs
    .readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    // Node goes through links here.
    .filter((name) => !name.startsWith("link/"))
    .toSorted()

/** What is printed, until the scope ends. */
const output = Effect.acquireRelease(
  Effect.sync(() => {
    const printed: Array<string> = []
    const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => printed.push(String(text)) > 0)
    return Object.assign(printed, { restore: () => write.mockRestore() })
  }),
  ({ restore }) => Effect.sync(restore)
)

describe("secrets cleanup", () => {
  it.effect("takes --interval with --watch alone", () =>
    Effect.gen(function* () {
      const { exitStatus, message } = yield* Effect.flip(run(yield* tree({}), "--interval", "5m"))
      assert.deepStrictEqual([message, exitStatus], ["--interval requires --watch", 2])
    })
  )

  it.effect("removes all files that env wrote where that is asked for, and no other", () =>
    Effect.gen(function* () {
      const root = yield* tree({ ".env": over, "deep/.env.local": over, ".env.mine": "TOKEN='x'\n" })
      yield* TestClock.setTime(moment - 1)
      assert.lengthOf((yield* run(root, "--all", "--dry-run")).lines ?? [], 2)
      yield* run(root, "--all")
      assert.deepStrictEqual(left(root), [".env.mine"])
      assert.deepStrictEqual((yield* run(root, "--all")).lines, ["no env files of secrets env"])
    })
  )

  it.effect("removes a file without comments by its record, until it is changed", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      yield* Effect.acquireRelease(
        Effect.sync(() => vi.stubEnv("HOME", home)),
        () => Effect.sync(() => vi.unstubAllEnvs())
      )
      const root = fs.realpathSync(
        yield* tree({ "a.json": "{}", "b/c.json": "{}", "edited.json": "{}", "other.json": "{}" })
      )
      const until = "2026-11-22T09:36:19Z"
      for (const name of ["a.json", "b/c.json", "edited.json"])
        assert.isUndefined(yield* recordWritten(path.join(root, name), until))
      fs.writeFileSync(path.join(root, "edited.json"), "[]")
      fs.utimesSync(path.join(root, "edited.json"), 1, 1)
      assert.isTrue(isWritten(path.join(root, "a.json")))
      assert.isFalse(isWritten(path.join(root, "edited.json")))
      yield* TestClock.setTime(moment - 1)
      assert.deepInclude((yield* run(root)).result, { count: 0 })
      yield* TestClock.setTime(moment)
      assert.deepInclude((yield* run(path.join(root, "b"))).result, { removed: [path.join(root, "b/c.json")] })
      assert.deepInclude((yield* run(root)).result, { removed: [path.join(root, "a.json")] })
      assert.deepStrictEqual(left(root), ["edited.json", "other.json"])
      // Another user could have written these.
      fs.writeFileSync(path.join(root, "a.json"), "{}")
      yield* recordWritten(path.join(root, "a.json"), until)
      fs.chmodSync(path.join(home, ".agent-secrets/written"), 0o777)
      assert.deepInclude((yield* run(root)).result, { count: 0 })
      assert.lengthOf(fs.readdirSync(path.join(home, ".agent-secrets/written")), 1)
    })
  )

  it.effect("removes a file at its expiry and not a millisecond before", () =>
    Effect.gen(function* () {
      const root = yield* tree({ ".env": over })
      yield* TestClock.setTime(moment - 1)
      assert.deepStrictEqual((yield* run(root)).lines, ["no expired env files"])
      assert.deepStrictEqual(left(root), [".env"])
      yield* TestClock.setTime(moment)
      const { lines, result } = yield* run(root)
      assert.deepStrictEqual(lines, [`removed ${path.join(root, ".env")}`])
      assert.deepInclude(result, { count: 1, dry_run: false })
      assert.deepStrictEqual(left(root), [])
    })
  )

  it.effect("keeps files that are unmanaged, not expired, or outside the tree", () =>
    Effect.gen(function* () {
      const kept = {
        "a/.env": over.replace("# secrets-managed: true\n", ""),
        "b/.env": over.replace("managed: true", "managed: false"),
        "c/.env": `TOKEN=x\n${over}`,
        "d/.env": header("2026-11-22T09:36:20+00:00"),
        "e/environment": over,
        "node_modules/x/.env": over,
        ".git/.env": over,
        "f/.env": "",
        "f/.env.marked-twice": over.replace("TOKEN", "# secrets-managed: false\nTOKEN"),
        "f/.env.later": over.replace("TOKEN", "# secrets-ttl: 2026-11-22T09:36:20Z\nTOKEN"),
        "g/.env.example": "# secrets-managed: true?\n# secrets-ttl: 2020-01-01T00:00:00Z\n"
      }
      const root = yield* tree({
        ...kept,
        ".env": over,
        ".env.local": header("2026-11-22T10:36:19+01:00"),
        "h/.env.test": over.replaceAll("\n", "\r\n")
      })
      const outside = yield* tree({ ".env": over, "secrets.env": over })
      fs.symlinkSync(outside, path.join(root, "link"))
      fs.symlinkSync(path.join(outside, ".env"), path.join(root, ".env.link"))
      yield* TestClock.setTime(moment)
      const { problem, result } = yield* run("--path", root)
      assert.isUndefined(problem)
      assert.deepInclude(result, { count: 3 })
      assert.deepStrictEqual(left(root), [...Object.keys(kept), ".env.link", "link"].toSorted())
      assert.deepStrictEqual(left(outside), [".env", "secrets.env"])
    })
  )

  it.effect("removes the env_file of a .secrets.json if it is inside the tree", () =>
    Effect.gen(function* () {
      const outside = yield* tree({ "secrets.env": over })
      const root = yield* tree({
        "p/.secrets.json": '{"env_file":"config/local.env"}',
        "p/config/local.env": over,
        "q/.secrets.json": JSON.stringify({ env_file: path.join(outside, "secrets.env") }),
        "r/.secrets.json": JSON.stringify({ env_file: "../link/secrets.env" }),
        "s/.secrets.json": "this is not JSON",
        "t/.secrets.json": '{"env_file":".env"}',
        "t/.env": over
      })
      fs.symlinkSync(outside, path.join(root, "link"))
      yield* TestClock.setTime(moment)
      const { problem, result } = yield* run(root)
      assert.isUndefined(problem)
      assert.deepInclude(result, { removed: [path.join(root, "p/config/local.env"), path.join(root, "t/.env")] })
      assert.deepStrictEqual(left(outside), ["secrets.env"])
    })
  )

  it.effect("keeps and reports a managed file without a valid expiry", () =>
    Effect.gen(function* () {
      const root = yield* tree({
        ".env": header("tomorrow"),
        ".env.a": "# secrets-managed: true\nA=1\n",
        ".env.b": over
      })
      yield* TestClock.setTime(moment)
      const { lines, problem } = yield* run(root)
      assert.deepStrictEqual(left(root), [".env", ".env.a"])
      assert.deepStrictEqual(lines, [`removed ${path.join(root, ".env.b")}`])
      assert.strictEqual(problem?.exitStatus, 9)
      assert.include(String(problem?.why), "the secrets-ttl is not a time")
      assert.include(String(problem?.why), "the secrets-ttl line is missing")
    })
  )

  it.effect("prints with --dry-run what it would remove, and removes nothing", () =>
    Effect.gen(function* () {
      const root = yield* tree({ ".env": over })
      yield* TestClock.setTime(moment)
      assert.deepStrictEqual((yield* run(root, "--dry-run")).lines, [`would remove ${path.join(root, ".env")}`])
      assert.deepStrictEqual(left(root), [".env"])
    })
  )

  it.effect("runs again after each --interval with --watch", () =>
    Effect.gen(function* () {
      const root = yield* tree({})
      const printed = yield* output
      yield* TestClock.setTime(moment)
      yield* Effect.forkChild(run(root, "--watch", "--interval", "5m", "--json"))
      yield* TestClock.adjust("1 second")
      fs.writeFileSync(path.join(root, ".env"), over)
      yield* TestClock.adjust(299 * 1000 - 1)
      assert.deepStrictEqual(left(root), [".env"])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(left(root), [])
      assert.strictEqual(printed.join(""), `${JSON.stringify({ removed: [path.join(root, ".env")] })}\n`)
    })
  )

  it.effect("rejects invalid arguments", () =>
    Effect.gen(function* () {
      for (const args of [["/nonexistent"], ["--interval", "soon"], ["--interval", "10ms"], ["--watch", "--dry-run"]]) {
        assert.strictEqual((yield* Effect.flip(run(...args))).exitStatus, 2, args.join(" "))
      }
    })
  )
})

it.effect("removeIfSame keeps a file that was replaced after it was read", () =>
  Effect.gen(function* () {
    const root = yield* tree({ ".env": over })
    const [seen] = managedFiles(root)
    if (seen?.is !== "managed") return assert.fail("the file was not found")
    fs.writeFileSync(path.join(root, "new"), header("2027-01-01T00:00:00Z"))
    fs.renameSync(path.join(root, "new"), path.join(root, ".env"))
    assert.strictEqual(removeIfSame(seen.file, seen.same), fileReplaced)
    assert.deepStrictEqual(left(root), [".env"])
    fs.rmSync(path.join(root, ".env"))
    assert.strictEqual(removeIfSame(seen.file, seen.same), fileReplaced)
  })
)
