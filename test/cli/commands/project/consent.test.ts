/**
 * Which project files are used without a terminal: exactly those that the user trusts, as they are now.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { vi } from "vitest"
import { allowProject } from "../../../../src/cli/commands/project/allowProject.ts"
import { requireConsent } from "../../../../src/cli/commands/project/consent.ts"
import { findProject } from "../../../../src/cli/commands/project/findProject.ts"
import { loadTrustList } from "../../../../src/cli/commands/project/trustList.ts"
import { recorderFor } from "../../../../src/cli/commands/project/recordTrust.ts"
import { modeOf } from "../../../harness/daemon.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

// On a terminal it would ask.
vi.mock("../../../../src/cli/terminal/isInteractive.ts", () => ({ isInteractive: () => false }))

const another = 61_234
const isRoot = process.getuid?.() === 0

/** A home directory, a daemon that records decisions, and a directory for projects. */
const world = Effect.gen(function* () {
  const home = fs.realpathSync(yield* temporaryDirectory)
  const state = path.join(home, ".agent-secrets")
  fs.mkdirSync(state, { mode: 0o700 })
  const recorded: Array<string> = []
  const server = net.createServer((connection) =>
    connection.once("data", (line) => {
      const { id, params } = JSON.parse(String(line))
      recorded.push(params.decision)
      connection.end(`${JSON.stringify({ jsonrpc: "2.0", id, result: { success: true } })}\n`)
    })
  )
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((done) => server.listen(path.join(state, "agent-secrets.sock"), done))),
    () => Effect.sync(() => server.close())
  )
  yield* Effect.acquireRelease(
    Effect.sync(() => vi.stubEnv("HOME", home)),
    () => Effect.sync(() => vi.unstubAllEnvs())
  )
  const settings = (content: object) => fs.writeFileSync(path.join(state, "config.json"), JSON.stringify(content))
  return { root: path.join(home, "work"), state, recorded, settings }
})

const args = { option: () => undefined }
const store = JSON.stringify({ secrets: [{ name: "db", env_var: "DB" }] })

/** Makes a directory with a project file. */
const makeProject = (directory: string, text = store): string => {
  fs.mkdirSync(directory, { recursive: true })
  const file = path.join(directory, ".secrets.json")
  fs.writeFileSync(file, text)
  return file
}

const allow = Effect.fnUntraced(function* (directory: string, named?: string) {
  yield* allowProject(yield* recorderFor(args), yield* findProject(directory, named))
})

/** Returns "used", or why it was refused. */
const use = (directory: string, named?: string, mustBeSeen = false) =>
  findProject(directory, named).pipe(
    Effect.flatMap((project) =>
      requireConsent({ command: "exec", args, project, named, plan: Effect.succeed([]), mustBeSeen })
    ),
    Effect.match({
      onSuccess: () => "used",
      onFailure: ({ exitStatus, message }) => `${exitStatus} ${message.replace(/^.*\.secrets\.json /, "")}`
    })
  )
const notTrusted = "5 is not trusted"
const changed = "5 has changed since it was trusted"

describe("a project file", () => {
  it.live("is used as long as it is what was allowed, and from below", () =>
    Effect.gen(function* () {
      const { recorded, root, state } = yield* world
      const file = makeProject(root)
      assert.strictEqual(yield* use(root), notTrusted)
      yield* allow(root)
      fs.mkdirSync(path.join(root, "a/b"), { recursive: true })
      assert.deepStrictEqual([yield* use(root), yield* use(path.join(root, "a/b"))], ["used", "used"])
      for (const text of [`${store}\n`, ` ${store}`, store.replace("db", "dc"), `\ufeff${store}`]) {
        fs.writeFileSync(file, text)
        assert.strictEqual(yield* use(root), changed, text)
      }
      fs.writeFileSync(file, store)
      assert.strictEqual(yield* use(root), "used")
      fs.writeFileSync(file, `${store}\n`)
      yield* allow(root)
      fs.writeFileSync(file, store)
      assert.strictEqual(yield* use(root), changed)
      assert.deepStrictEqual(recorded, ["refuse", "allow", ...Array(4).fill("refuse"), "allow", "refuse"])
      assert.deepStrictEqual([(yield* loadTrustList).length, modeOf(path.join(state, "trusted.json"))], [1, "600"])
    })
  )

  it.live("is not trusted in another place, or through a link from there", () =>
    Effect.gen(function* () {
      const { root } = yield* world
      const [mine, clone] = [path.join(root, "mine"), path.join(root, "clone")]
      const file = makeProject(mine)
      yield* allow(mine)
      makeProject(clone)
      assert.strictEqual(yield* use(clone), notTrusted)
      fs.rmSync(path.join(clone, ".secrets.json"))
      fs.symlinkSync(file, path.join(clone, ".secrets.json"))
      assert.strictEqual(yield* use(clone), notTrusted)
      fs.rmSync(path.join(clone, ".secrets.json"))
      fs.linkSync(file, path.join(clone, ".secrets.json"))
      assert.strictEqual(yield* use(clone), notTrusted)
      // A link to its directory leads to the same place.
      fs.symlinkSync(mine, path.join(root, "link"))
      assert.strictEqual(yield* use("/", path.join(root, "link")), "used")
      // The file that was allowed may not become a link to an equal one.
      fs.renameSync(file, path.join(mine, "real.json"))
      fs.symlinkSync("real.json", file)
      assert.strictEqual(yield* use(mine), changed)
      fs.renameSync(mine, path.join(root, "moved"))
      assert.strictEqual(yield* use(path.join(root, "moved")), notTrusted)
    })
  )

  it.live("is trusted below a path in trusted_projects, by whole components of real paths", () =>
    Effect.gen(function* () {
      const { root, settings } = yield* world
      const [mine, other] = [path.join(root, "mine"), path.join(root, "mine2")]
      const [file] = [makeProject(mine), makeProject(other)]
      for (const [trusted, [one, two]] of [
        [[mine], ["used", notTrusted]],
        [[`${mine}/`], ["used", notTrusted]],
        [[file], ["used", notTrusted]],
        [["~/work"], ["used", "used"]],
        [["/"], ["used", "used"]],
        [[path.join(root, "min")], [notTrusted, notTrusted]],
        [
          [path.join(root, "missing"), `${root}/*`],
          [notTrusted, notTrusted]
        ],
        [[], [notTrusted, notTrusted]]
      ] as const) {
        settings({ trusted_projects: trusted })
        assert.deepStrictEqual([yield* use(mine), yield* use(other)], [one, two], trusted.join())
      }
      settings({ trusted_projects: [mine] })
      // What is not shown before may not surprise.
      assert.strictEqual(yield* use(mine, undefined, true), notTrusted)
      // Neither end of a link may be outside.
      fs.rmSync(file)
      fs.symlinkSync(path.join(other, ".secrets.json"), file)
      assert.strictEqual(yield* use(mine), notTrusted)
      settings({ trusted_projects: [root] })
      assert.strictEqual(yield* use(mine), "used")
    })
  )

  it.live("is not trusted by settings, a directory or a list that another user can change", () =>
    Effect.gen(function* () {
      const { root, settings, state } = yield* world
      const mine = path.join(root, "mine")
      makeProject(mine)
      settings({ trusted_projects: [root] })
      const [config, list] = ["config.json", "trusted.json"].map((name) => path.join(state, name)) as [string, string]
      for (const [place, mode, broken] of [
        [config, 0o600, 0o606],
        [root, 0o755, 0o777],
        [mine, 0o755, 0o777]
      ] as const) {
        fs.chmodSync(place, broken)
        assert.strictEqual(yield* use(mine), notTrusted, place)
        fs.chmodSync(place, mode)
        assert.strictEqual(yield* use(mine), "used", place)
      }
      fs.rmSync(config)
      yield* allow(mine)
      for (const [place, mode, broken] of [
        [list, 0o600, 0o620],
        [list, 0o600, 0o602],
        [state, 0o700, 0o770]
      ] as const) {
        fs.chmodSync(place, broken)
        assert.strictEqual(yield* use(mine), notTrusted, place)
        assert.include((yield* Effect.flip(allow(mine))).message, "writable by")
        fs.chmodSync(place, mode)
        assert.strictEqual(yield* use(mine), "used", place)
      }
      fs.renameSync(list, path.join(state, "elsewhere"))
      fs.symlinkSync("elsewhere", list)
      assert.strictEqual(yield* use(mine), notTrusted)
    })
  )

  it.live("of another user is used only if it is named and allowed, also by root", () =>
    Effect.gen(function* () {
      if (!isRoot) return
      const { root, settings } = yield* world
      const file = makeProject(root)
      fs.chownSync(file, another, another)
      settings({ trusted_projects: [root] })
      const foreign = "5 belongs to or is writable by another user"
      assert.deepStrictEqual([yield* use(root), yield* use(root, file)], [foreign, notTrusted])
      yield* allow(root, file)
      assert.deepStrictEqual([yield* use(root), yield* use(root, file)], [foreign, "used"])
      fs.chownSync(file, 0, 0)
      assert.strictEqual(yield* use(root), "used")
      fs.chownSync(root, another, another)
      fs.writeFileSync(file, `${store} `)
      assert.strictEqual(yield* use(root), changed)
    })
  )

  it.live("of Vercel is bound to the linked project", () =>
    Effect.gen(function* () {
      const { root } = yield* world
      const link = path.join(root, ".vercel")
      makeProject(root, JSON.stringify({ source: "vercel", project: "site", scope: "production", ttl: "1h" }))
      yield* allow(root)
      fs.mkdirSync(link)
      const write = (name: string, content: object) => fs.writeFileSync(path.join(link, name), JSON.stringify(content))
      write("repo.json", { projects: [] })
      assert.strictEqual(yield* use(root), changed)
      const linked = { orgId: "team_a", projectId: "prj_a", projectName: "site" }
      write("project.json", linked)
      assert.strictEqual(yield* use(root), changed)
      yield* allow(root)
      // Vercel's program adds settings of the build.
      write("project.json", { ...linked, settings: { framework: null } })
      assert.strictEqual(yield* use(root), "used")
      for (const other of [{ projectId: "prj_b" }, { orgId: "team_b" }, { projectName: "other" }, { orgId: 1 }]) {
        write("project.json", { ...linked, ...other })
        assert.strictEqual(yield* use(root), changed, JSON.stringify(other))
      }
    })
  )
})
