/**
 * Standard input that is a named pipe, which another program reads on macOS.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import { writeFile } from "node:fs/promises"
import * as path from "node:path"
import { text } from "node:stream/consumers"
import { pipeline } from "node:stream/promises"
import { readPath, readToEnd } from "../../src/process/standardInput.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const source = path.resolve(import.meta.dirname, "../../src/process/standardInput.ts")
const effect = import.meta.resolve("effect/Effect")
/** Prints what it read, and by which child process. */
const program = `
  import { syncBuiltinESMExports } from "node:module"
  import childProcess from "node:child_process"
  const { spawn } = childProcess
  childProcess.spawn = (name, ...rest) => (console.log(name), spawn(name, ...rest))
  syncBuiltinESMExports()
  const [{ readToEnd }, Effect] = await Promise.all([import(${JSON.stringify(source)}), import(${JSON.stringify(effect)})])
  console.log(String(await Effect.runPromise(readToEnd(process.stdin, 1, "darwin"))))
`

const read = (stdin: number | "pipe") => {
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: [stdin, "pipe", "inherit"] })
  return { child, output: text(child.stdout ?? process.stdin) }
}

describe("standard input on macOS", () => {
  it.live("is read to its end from a named pipe, by cat", () =>
    Effect.gen(function* () {
      const fifo = path.join(yield* temporaryDirectory, "fifo")
      execFileSync("mkfifo", [fifo])
      // Open for both, so that neither end waits for the other one.
      const both = fs.openSync(fifo, "r+")
      const reader = fs.openSync(fifo, "r")
      const { output } = read(reader)
      fs.writeSync(both, "the value")
      fs.closeSync(both)
      fs.closeSync(reader)
      assert.strictEqual(yield* Effect.promise(() => output), "/bin/cat\nthe value\n")
    })
  )

  it.live("is read by the program itself from a file", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, "file")
      fs.writeFileSync(file, "the value")
      const descriptor = fs.openSync(file, "r")
      const { output } = read(descriptor)
      fs.closeSync(descriptor)
      assert.strictEqual(yield* Effect.promise(() => output), "the value\n")
    })
  )
})

describe("a file that is a named pipe", () => {
  it.live("is read to its end, and given up when interrupted if it has no writer", () =>
    Effect.gen(function* () {
      const fifo = path.join(yield* temporaryDirectory, "fifo")
      execFileSync("mkfifo", [fifo])
      const waiting = yield* Effect.forkChild(readPath(fifo), { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      const reading = yield* Effect.forkChild(readPath(fifo), { startImmediately: true })
      yield* Effect.promise(() => writeFile(fifo, "two\nlines\n"))
      assert.strictEqual(String(yield* Fiber.join(reading)), "two\nlines\n")
    })
  )
})

describe("a path of a descriptor", () => {
  it.live("is read also where it is a pipe of this process alone", () =>
    Effect.gen(function* () {
      const fifo = path.join(yield* temporaryDirectory, "fifo")
      execFileSync("mkfifo", [fifo])
      const both = fs.openSync(fifo, "r+")
      const reader = fs.openSync(fifo, "r")
      fs.writeSync(both, "the value")
      fs.closeSync(both)
      assert.strictEqual(String(yield* readPath(`/dev/fd/${reader}`)), "the value")
      fs.closeSync(reader)
    })
  )
})

describe("input without an end", () => {
  it.live("is given up at the limit, be it a file, a stream or a named pipe", () =>
    Effect.gen(function* () {
      const fifo = path.join(yield* temporaryDirectory, "fifo")
      execFileSync("mkfifo", [fifo])
      const written = pipeline(fs.createReadStream("/dev/zero"), fs.createWriteStream(fifo)).catch(String)
      const zeros = fs.createReadStream("/dev/zero")
      const failures = yield* Effect.forEach(
        [readPath("/dev/zero", 1), readToEnd(zeros, 1), readPath(fifo, 1)],
        Effect.flip,
        { concurrency: 3 }
      )
      assert.deepStrictEqual(failures.map(String), Array(3).fill("Error: it is longer than 1 MiB"))
      assert.match(yield* Effect.promise(async () => (await written) ?? ""), /EPIPE/)
    })
  )
})
