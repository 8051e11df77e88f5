/**
 * Repositories with random settings that name programs, some of them partial clones without
 * all objects. A scan runs nothing, writes nothing there, and finds what is staged.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { start } from "../../harness/program.ts"
import { choices, configLine, settings } from "../../support/gitSettings.ts"
import type { Random } from "../../support/random.ts"
import { temporaryHome } from "../../support/temporary.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { Tally } from "./tally.ts"

/** A remote that is asked for what is missing. */
const partialClone = [
  ["core.repositoryFormatVersion", "1"],
  ["extensions.partialClone", "origin"],
  ["remote.origin.url", "file:///nonexistent"],
  ["remote.origin.promisor", "true"],
  ["remote.evil.promisor", "true"],
  ["protocol.allow", "always"]
]

const round = async (random: Random): Promise<ReadonlyArray<string>> => {
  const root = temporaryHome()
  const [tree, mark, program] = ["tree", "mark", "program"].map((name) => path.join(root, name))
  if (tree === undefined || mark === undefined || program === undefined) return []
  fs.mkdirSync(path.join(tree, "sub"), { recursive: true })
  fs.writeFileSync(program, `#!/bin/sh\necho "$0 $*" >>'${mark}'\nexit 1\n`, { mode: 0o755 })
  const git = (...args: ReadonlyArray<string>) => spawnSync("git", args, { cwd: tree })
  git("init", "-q")
  const token = ["gh", "p_", "abcdefghijKLMNOPQRST0123456789uvwxyz"].join("")
  fs.writeFileSync(path.join(tree, "staged.txt"), `${token}\n`)
  fs.writeFileSync(path.join(tree, "sub/.gitignore"), "ignored\n")
  git("add", ".")
  // A file of patterns that are neither in the tree nor in the object store.
  const isPartial = random.next() < 0.5
  if (isPartial) {
    const id = git("rev-parse", ":sub/.gitignore").stdout.toString().trim()
    git("update-index", "--skip-worktree", "sub/.gitignore")
    fs.rmSync(path.join(tree, "sub/.gitignore"))
    fs.rmSync(path.join(tree, ".git/objects", id.slice(0, 2), id.slice(2)))
    for (const line of partialClone) git("config", ...line)
    git("config", "remote.origin.uploadpack", program)
    git("config", "remote.evil.url", `ext::${program}`)
  }
  const chosen = [...settings, ...choices].filter(() => random.below(3) === 0)
  const text = chosen.map((line) => configLine(line.replaceAll("PROGRAM", program).replaceAll("HIDING", program)))
  fs.appendFileSync(path.join(tree, ".git/config"), text.join(""))
  fs.writeFileSync(path.join(tree, ".gitattributes"), "* -diff filter=evil diff=evil\n")
  const state = () => spawnSync("find", [tree, "-printf", "%p %T@ %s\n"]).stdout.toString()
  const before = state()
  const faults: Array<string> = []
  for (const [directory, ...args] of [
    ["", "scan"],
    ["", "scan", "--staged"],
    ["sub", "scan", "--staged"]
  ]) {
    const through = `cd '${path.join(tree, directory ?? "")}' && exec "$@"`
    const { stdout } = await start([...args, "--no-own"], { home: root, through }).ended
    if (!stdout.includes("staged.txt:1 ")) faults.push(`${args.join(" ")} in ${directory}: ${stdout}`)
  }
  if (fs.existsSync(mark)) faults.push(`it ran ${fs.readFileSync(mark, "utf8")}`)
  if (state() !== before) faults.push("it wrote into the repository")
  if (faults.length > 0) faults.push(`with ${isPartial ? "a partial clone, " : ""}${chosen.join(", ")}`)
  fs.rmSync(root, { recursive: true, force: true })
  return faults
}

export const hostileRepositories = async ({ random, rounds, log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const tally = new Tally("scans of repositories: same findings, nothing ran or was written", log)
  for (let n = 0; n < rounds; n += 1) {
    const faults = await round(random)
    tally.check(faults.length === 0, () => faults.join("; "))
  }
  return [tally.row()]
}
