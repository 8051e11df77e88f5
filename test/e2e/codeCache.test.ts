/**
 * The file beside the program in which its parts stand compiled: it is used where it
 * is of this build, and the program works the same with any other one, and without.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { headLength } from "../../scripts/partLoader.ts"
import { nodeOptions } from "../../src/service/ServiceOptions.ts"
import { invocation, isScript, program, run } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"

/** Tells at the end how many parts were loaded, and of how many the engine took what stands in the file. */
const counting = `
import vm from "node:vm"
const { Script } = vm
let parts = 0, taken = 0
vm.Script = class extends Script {
  constructor(text, options) {
    super(text, options)
    parts += 1
    if (options.cachedData !== undefined && !this.cachedDataRejected) taken += 1
  }
}
process.on("exit", () => process._rawDebug("parts", parts, "taken", taken))
`

/** What a command says, by itself one that loads the whole program, and how its parts came. */
const loads = Effect.fnUntraced(function* (
  home: string,
  place: (cache: string) => void,
  line: ReadonlyArray<string> = ["rotate", "db", "--timeout", "0.1"],
  options: ReadonlyArray<string> = []
) {
  const copy = path.join(home, "secrets")
  fs.copyFileSync(program, copy)
  fs.copyFileSync(`${program}.cache`, `${copy}.cache`)
  place(`${copy}.cache`)
  const hook = path.join(home, "counting.mjs")
  fs.writeFileSync(hook, counting)
  const through = `shift ${invocation.length}; exec '${process.execPath}' ${options.join(" ")} --import '${hook}' '${copy}' "$@"`
  const ended = yield* run(line, { home, through })
  const [said, parts, taken] = /^([^]*)parts (\d+) taken (\d+)\n$/.exec(ended.stderr)?.slice(1) ?? []
  return { status: ended.status, said, parts: Number(parts), taken: Number(taken) }
})

const change = (at: (bytes: Buffer) => ReadonlyArray<number>) => (cache: string) => {
  const bytes = fs.readFileSync(cache)
  for (const one of at(bytes)) bytes.writeUInt8(bytes.readUInt8(one) ^ 1, one)
  fs.writeFileSync(cache, bytes)
}

const everyHundredthOfParts = (bytes: Buffer) =>
  Array.from({ length: Math.floor((bytes.length - headLength) / 100) }, (_, at) => headLength + at * 100 + 50)

const unfit: ReadonlyArray<readonly [what: string, place: (cache: string) => void]> = [
  ["none", (cache) => fs.rmSync(cache)],
  ["an empty one", (cache) => fs.writeFileSync(cache, "")],
  ["one of another build", change((bytes) => [bytes.indexOf('"id":"') + 6])],
  ["one that is damaged all over", change(everyHundredthOfParts)],
  ["one that others may write", (cache) => fs.chmodSync(cache, 0o646)],
  ["one that the group may write", (cache) => fs.chmodSync(cache, 0o664)],
  [
    "a pipe, which nobody writes into",
    (cache) => {
      fs.rmSync(cache)
      execFileSync("mkfifo", [cache])
    }
  ],
  [
    "a directory",
    (cache) => {
      fs.rmSync(cache)
      fs.mkdirSync(cache)
    }
  ],
  ...(process.getuid?.() === 0
    ? [["one of somebody else", (cache: string) => fs.chownSync(cache, 65534, 65534)] as const]
    : [])
]

describe.runIf(isScript)("the program compiled beside itself", () => {
  it.live("is taken as it stands there, for each part that is loaded", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { parts, status, taken } = yield* loads(home, () => undefined)
      assert.strictEqual(status, 3)
      assert.isAbove(parts, 10)
      assert.strictEqual(taken, parts)
    })
  )

  it.live("counts with the options that a service gives to Node", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { parts, taken } = yield* loads(home, () => undefined, undefined, nodeOptions)
      assert.isAbove(parts, 10)
      assert.strictEqual(taken, parts)
    })
  )

  it.live("is one part for a command that only asks, and others for what a build has not tried", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const version = yield* loads(home, () => undefined, ["--version"])
      assert.deepStrictEqual([version.status, version.parts, version.taken], [0, 1, 1])
      const cleanup = yield* loads(home, () => undefined, ["cleanup"])
      assert.strictEqual(cleanup.status, 0)
      assert.isAbove(cleanup.parts, 10)
      assert.strictEqual(cleanup.taken, cleanup.parts)
    })
  )

  it.live("leaves out the entry where its two copies differ, and takes the rest", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { parts, status, taken } = yield* loads(
        home,
        change(() => [headLength + 50])
      )
      assert.strictEqual(status, 3)
      assert.strictEqual(taken, parts - 1)
    })
  )

  it.live.each(unfit)("works the same with %s", ([, place]) =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { parts, said, status, taken } = yield* loads(home, place)
      assert.match(said ?? "", /^secrets rotate: the daemon is not running\n/)
      assert.strictEqual(status, 3)
      assert.isAbove(parts, 10)
      assert.strictEqual(taken, 0)
    })
  )

  it.live("works the same with one that is cut short, of which it takes what is there", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { parts, said, status, taken } = yield* loads(home, (cache) =>
        fs.truncateSync(cache, Math.floor(fs.statSync(cache).size / 2))
      )
      assert.match(said ?? "", /^secrets rotate: the daemon is not running\n/)
      assert.strictEqual(status, 3)
      assert.isAbove(taken, 0)
      assert.isBelow(taken, parts)
    })
  )
})
