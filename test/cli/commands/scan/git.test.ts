/**
 * What git is asked has one answer, whatever the settings of a repository, a person or the
 * environment are; and asking runs no program, writes nothing and fetches nothing.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { splitList } from "../../../../src/cli/commands/scan/files.ts"
import { listGitFiles, listStagedFiles, openBlobs } from "../../../../src/cli/commands/scan/git.ts"
import { decodePath } from "../../../../src/domain/pathText.ts"
import { choices, configLine, settings } from "../../../support/gitSettings.ts"
import { temporaryDirectory, temporaryHome } from "../../../support/temporary.ts"

/** The repository of every test, made once, because git takes its time. */
const template = { home: "", tree: "" }

beforeAll(() => {
  const root = temporaryHome()
  template.home = path.join(root, "home")
  template.tree = path.join(root, "tree")
  for (const directory of [template.home, template.tree]) fs.mkdirSync(directory)
  const before = isolateGit(template.home)
  const [git, write] = [gitFor(template.tree), writeFor(template.tree)]
  git("init", "-q", "-b", "main")
  write("old.txt", "one\ntwo\nthree\nfour\n")
  write("changed.txt", "before\n")
  write("sub/.gitignore", "ignored\n")
  write(".gitignore", "*.log\n")
  git("add", ".")
  git("commit", "-q", "-m", "first")
  git("mv", "old.txt", "new.txt")
  write("changed.txt", "staged\n")
  write("sub/added é.txt", "added\n")
  git("add", ".")
  write("changed.txt", "in the tree\n")
  write("sub/ignored", "ignored\n")
  write("sub/untracked.txt", "untracked\n")
  write("SUB.LOG", "not ignored\n")
  restore(before)
})
afterAll(() => fs.rmSync(path.dirname(template.tree), { recursive: true }))

/** Sets the environment of git: a home, and no settings of the machine. Returns the one before. */
const isolateGit = (home: string): NodeJS.ProcessEnv => {
  const before = { ...process.env }
  for (const name of Object.keys(process.env)) if (name.startsWith("GIT_")) delete process.env[name]
  Object.assign(process.env, { HOME: home, GIT_CONFIG_NOSYSTEM: "1" })
  return before
}

const restore = (environment: NodeJS.ProcessEnv): void => {
  for (const name of Object.keys(process.env)) delete process.env[name]
  Object.assign(process.env, environment)
}

/** A repository with something to list, to ignore and to commit, and a program that leaves a mark when it runs. */
const setup = Effect.gen(function* () {
  const root = yield* temporaryDirectory
  const [home, tree] = [path.join(root, "home"), path.join(root, "tree")]
  const [mark, program] = [path.join(root, "mark"), path.join(root, "program")]
  fs.cpSync(path.dirname(template.tree), root, { recursive: true })
  fs.writeFileSync(program, `#!/bin/sh\necho "$0 $*" >>'${mark}'\nexit 1\n`, { mode: 0o755 })
  yield* Effect.acquireRelease(
    Effect.sync(() => isolateGit(home)),
    (before) => Effect.sync(() => restore(before))
  )
  return { root, home, tree, mark, program, git: gitFor(tree), write: writeFor(tree) }
})

const writeFor = (tree: string) => (name: string, text: string) => {
  fs.mkdirSync(path.dirname(path.join(tree, name)), { recursive: true })
  fs.writeFileSync(path.join(tree, name), text)
}

const gitFor =
  (tree: string) =>
  (...args: ReadonlyArray<string>) =>
    gitIn(tree, ...args)

const gitIn = (cwd: string, ...args: ReadonlyArray<string>) => {
  const identity = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "protocol.file.allow=always"]
  const { status, stderr, stdout } = spawnSync("git", [...identity, ...args], { cwd, encoding: "utf8" })
  assert.strictEqual(status, 0, `git ${args.join(" ")}: ${stderr}`)
  return stdout.trim()
}

/** All that is asked of git, from a directory below the top. */
const answers = Effect.fnUntraced(function* (tree: string) {
  const sub = path.join(tree, "sub")
  return { files: yield* filesOf(tree), inSub: yield* filesOf(sub), staged: yield* stagedIn(sub) }
})

const filesOf = (directory: string) =>
  Effect.map(listGitFiles(directory), (list) =>
    list instanceof Uint8Array ? [...splitList(list)].toSorted() : (list ?? ["no repository"])
  )

const stagedIn = (directory: string) =>
  Effect.gen(function* () {
    const found = yield* listStagedFiles(directory, [])
    if (!("staged" in found)) return found
    const files = found.staged.toSorted((a, b) => (a.name < b.name ? -1 : 1))
    const blobs = yield* openBlobs(
      directory,
      files.map(({ blob }) => blob)
    )
    const contents: Array<string> = []
    for (const { name } of files) {
      const into = Buffer.alloc(100)
      const text = (yield* Effect.promise(() => blobs.next()))
        ? into.toString("utf8", 0, yield* Effect.promise(() => blobs.read(into)))
        : "missing"
      contents.push(`${name}: ${text}`)
    }
    return contents
  }).pipe(Effect.scoped)

const expected = {
  files: [".gitignore", "SUB.LOG", "changed.txt", "new.txt", "sub/.gitignore", "sub/added é.txt", "sub/untracked.txt"],
  inSub: [".gitignore", "added é.txt", "untracked.txt"],
  staged: ["changed.txt: staged\n", "new.txt: one\ntwo\nthree\nfour\n", "sub/added é.txt: added\n"]
}

const environments: ReadonlyArray<Readonly<Record<string, string>>> = [
  {
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: "core.fsmonitor",
    GIT_CONFIG_VALUE_0: "PROGRAM",
    GIT_CONFIG_PARAMETERS: "'core.fsmonitor=PROGRAM' 'diff.relative=true'",
    GIT_CONFIG_GLOBAL: "CONFIG",
    GIT_EXTERNAL_DIFF: "PROGRAM",
    GIT_DIFF_OPTS: "-U0",
    GIT_PAGER: "PROGRAM",
    GIT_EDITOR: "PROGRAM",
    GIT_ASKPASS: "PROGRAM",
    GIT_SSH_COMMAND: "PROGRAM",
    PAGER: "PROGRAM",
    EDITOR: "PROGRAM",
    GIT_TRACE: "MARK",
    GIT_TRACE2: "MARK",
    GIT_TRACE_SETUP: "MARK",
    GIT_TRACE2_EVENT: "MARK",
    GIT_LITERAL_PATHSPECS: "1",
    GIT_ATTR_SOURCE: "HEAD",
    GIT_DEFAULT_HASH: "sha256",
    GIT_NAMESPACE: "other",
    LC_ALL: "C.UTF-8",
    LANGUAGE: "de"
  },
  { GIT_CONFIG_SYSTEM: "CONFIG", GIT_CONFIG_NOSYSTEM: "0", GIT_EXEC_PATH: "/nonexistent" },
  { GIT_CEILING_DIRECTORIES: "/", GIT_DISCOVERY_ACROSS_FILESYSTEM: "0", GIT_QUARANTINE_PATH: "/nonexistent" },
  { GIT_INTERNAL_SUPER_PREFIX: "other/", GIT_REPLACE_REF_BASE: "refs/heads/" }
]

describe("git", () => {
  it.live("gives the same answer whatever is configured, and runs no program that is", () =>
    Effect.gen(function* () {
      const { home, mark, program, root, tree, write } = yield* setup
      const hiding = path.join(root, "hiding")
      fs.writeFileSync(hiding, "*\n")
      assert.deepStrictEqual(yield* answers(tree), expected)

      write(".git/info/attributes", "* -diff filter=evil diff=evil working-tree-encoding=UTF-16\n")
      write(".git/info/exclude", "*\n")
      for (const hook of fs.readdirSync(path.join(tree, ".git/hooks"))) {
        fs.copyFileSync(program, path.join(tree, ".git/hooks", hook.replace(".sample", "")))
      }
      const filled = (text: string) =>
        text.replaceAll("PROGRAM", program).replaceAll("HIDING", hiding).replaceAll("MARK", mark)
      const places = [path.join(tree, ".git/config"), path.join(home, ".gitconfig")]
      const original = places.map((file) => (fs.existsSync(file) ? fs.readFileSync(file, "utf8") : ""))
      const unchanged = Effect.fnUntraced(function* (what: string) {
        assert.deepStrictEqual(yield* answers(tree), expected, what)
        assert.isFalse(fs.existsSync(mark), `${what} ran ${fs.existsSync(mark) ? fs.readFileSync(mark, "utf8") : ""}`)
      })
      // All at once, and in groups: some could cancel each other.
      const groups = [...Array(3).keys()].map((group) => choices.filter((_, n) => n % 3 === group))
      for (const lines of [[...settings, ...choices], settings, ...groups]) {
        const text = lines.map((line) => configLine(filled(line))).join("")
        places.forEach((file, n) => fs.writeFileSync(file, `${original[n]}${text}`))
        yield* unchanged(lines.length > 20 ? "all settings" : lines.join(", "))
      }
      const config = path.join(root, "config")
      fs.copyFileSync(path.join(home, ".gitconfig"), config)
      for (const environment of environments) {
        const given = Object.entries(environment).map(([name, value]) => [
          name,
          filled(value).replace("CONFIG", config)
        ])
        const added = Object.fromEntries(given)
        const before = { ...process.env }
        Object.assign(process.env, added)
        yield* unchanged(JSON.stringify(environment))
        for (const [name = ""] of given) delete process.env[name]
        Object.assign(process.env, before)
      }
    }).pipe(Effect.scoped)
  )

  it.live("fetches nothing for a partial clone, whose remote names a program, and reports what is missing", () =>
    Effect.gen(function* () {
      const { git, mark, program, tree } = yield* setup
      const missing = ["sub/.gitignore", "changed.txt"].map((name) => git("rev-parse", `:${name}`))
      for (const [name, value] of [
        ["extensions.partialClone", "origin"],
        ["remote.origin.url", "file:///nonexistent"],
        ["remote.origin.promisor", "true"],
        ["remote.origin.uploadpack", program],
        ["remote.evil.url", `ext::${program}`],
        ["remote.evil.promisor", "true"],
        ["protocol.allow", "always"],
        ["core.repositoryFormatVersion", "1"]
      ] as const) {
        git("config", name, value)
      }
      for (const id of missing) fs.rmSync(path.join(tree, ".git/objects", id.slice(0, 2), id.slice(2)))
      // Git reads the blob of a .gitignore that is not checked out.
      fs.rmSync(path.join(tree, "sub/.gitignore"))
      git("update-index", "--skip-worktree", "sub/.gitignore")
      const { files, staged } = yield* answers(tree)
      assert.isFalse(fs.existsSync(mark))
      assert.include(files, "sub/untracked.txt")
      assert.deepStrictEqual(staged, ["changed.txt: missing", ...expected.staged.slice(1)])
    }).pipe(Effect.scoped)
  )

  it.live("lists no files of another place that core.worktree names", () =>
    Effect.gen(function* () {
      const { git, home, root, tree } = yield* setup
      for (const elsewhere of [home, path.join(tree, "sub")]) {
        git("config", "core.worktree", elsewhere)
        assert.deepStrictEqual(yield* filesOf(tree), [`its repository has another work tree: ${elsewhere}`])
      }
      // One that has the directory in it lists all of it.
      for (const around of [tree, root]) {
        git("config", "core.worktree", around)
        assert.includeMembers([...(yield* filesOf(tree))], ["SUB.LOG", "sub/untracked.txt"])
      }
    }).pipe(Effect.scoped)
  )

  it.live("reads what will be committed, and no replacement of it", () =>
    Effect.gen(function* () {
      const { git, tree, write } = yield* setup
      write("innocent", "innocent\n")
      git("replace", git("rev-parse", ":changed.txt"), git("hash-object", "-w", "innocent"))
      git("update-index", "--assume-unchanged", "new.txt")
      git("update-index", "--skip-worktree", "changed.txt")
      assert.deepStrictEqual(yield* stagedIn(tree), expected.staged)
    }).pipe(Effect.scoped)
  )

  it.live("compares the index of the commit in a hook, with nothing before the first commit", () =>
    Effect.gen(function* () {
      const { git, root, tree, write } = yield* setup
      const index = path.join(root, "index")
      process.env["GIT_INDEX_FILE"] = index
      git("read-tree", "HEAD")
      write("only.txt", "only\n")
      git("add", "only.txt")
      process.env["GIT_DIR"] = ".git"
      assert.deepStrictEqual(yield* stagedIn(tree), ["only.txt: only\n"])
      git("symbolic-ref", "HEAD", "refs/heads/unborn")
      assert.include(yield* stagedIn(tree), "changed.txt: before\n")
      assert.lengthOf(yield* stagedIn(tree), 5)
      // The hook's variables do not name the repository that is listed.
      process.env["GIT_DIR"] = "/nonexistent"
      assert.include(yield* filesOf(tree), "new.txt")
    }).pipe(Effect.scoped)
  )

  it.live("lists names of any bytes", () =>
    Effect.gen(function* () {
      const { git, tree } = yield* setup
      // File systems of macOS refuse a name that is not UTF-8.
      const bytes = process.platform === "darwin" ? [] : ["bad\xff.txt"]
      const names = [
        ...bytes.map((name) => Buffer.from(name, "latin1")),
        Buffer.from("line\nfeed"),
        Buffer.from("\ufffd")
      ]
      for (const name of names) fs.writeFileSync(Buffer.concat([Buffer.from(`${tree}/`), name]), "x\n")
      git("add", ".")
      const shown = names.map(decodePath)
      assert.includeMembers([...(yield* filesOf(tree))], shown)
      assert.includeMembers(
        [...(yield* stagedIn(tree))],
        shown.map((name) => `${name}: x\n`)
      )
    }).pipe(Effect.scoped)
  )

  it.live("does not obey a bare repository inside of a cloned one, and says why it lists nothing there", () =>
    Effect.gen(function* () {
      const { git, mark, program, tree } = yield* setup
      git("clone", "-q", "--bare", ".", "vendor")
      gitIn(path.join(tree, "vendor"), "config", "core.fsmonitor", program)
      gitIn(path.join(tree, "vendor"), "config", "core.bare", "false")
      gitIn(path.join(tree, "vendor"), "config", "core.worktree", tree)
      const refused = yield* filesOf(path.join(tree, "vendor"))
      assert.match(refused[0] ?? "", /^cannot use bare repository/)
      assert.match((yield* stagedIn(path.join(tree, "vendor")))[0] ?? "", /^cannot use bare repository/)
      assert.isFalse(fs.existsSync(mark))
    }).pipe(Effect.scoped)
  )

  it.live("answers the same in a linked worktree, and where .git is a file", () =>
    Effect.gen(function* () {
      const { git, root, tree } = yield* setup
      git("worktree", "add", "-q", path.join(root, "linked"))
      assert.include(yield* filesOf(path.join(root, "linked")), "old.txt")
      assert.deepStrictEqual(yield* stagedIn(path.join(root, "linked")), [])
      fs.renameSync(path.join(tree, ".git"), path.join(root, "elsewhere"))
      fs.writeFileSync(path.join(tree, ".git"), "gitdir: ../elsewhere\n")
      assert.deepStrictEqual(yield* answers(tree), expected)
      fs.writeFileSync(path.join(tree, ".git"), "gitdir: /nonexistent\n")
      assert.deepStrictEqual(yield* filesOf(tree), ["not a git repository: /nonexistent"])
    }).pipe(Effect.scoped)
  )

  it.runIf(process.getuid?.() === 0)("refuses a repository of another user in its own words", () =>
    Effect.gen(function* () {
      const { tree } = yield* setup
      fs.chownSync(tree, 65534, 65534)
      fs.chownSync(path.join(tree, ".git"), 65534, 65534)
      const reason = `detected dubious ownership in repository at '${tree}'`
      assert.deepStrictEqual((yield* filesOf(tree))[0], reason)
      assert.deepStrictEqual((yield* stagedIn(tree)).slice(0, 3), [
        reason,
        "To add an exception for this directory, call:",
        `git config --global --add safe.directory ${tree}`
      ])
    }).pipe(Effect.scoped, Effect.runPromise)
  )

  it.live("says that there is no repository", () =>
    Effect.gen(function* () {
      const { root } = yield* setup
      assert.deepStrictEqual(yield* filesOf(root), ["no repository"])
      assert.match((yield* stagedIn(root))[0] ?? "", /^not a git repository/)
    }).pipe(Effect.scoped)
  )
})
