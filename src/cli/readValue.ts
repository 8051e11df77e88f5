/**
 * A value from standard input: all of it from a pipe or a file, one unseen line
 * from a terminal. The prompt goes to standard error.
 */
import * as Effect from "effect/Effect"
import * as readline from "node:readline"
import { Writable } from "node:stream"
import { buffer } from "node:stream/consumers"
import { printable } from "./table.ts"
import { exitCode } from "./exitCode.ts"
import { Failure } from "./Failure.ts"

export const readValue = (name: string): Effect.Effect<string, Failure> =>
  Effect.suspend(() => (process.stdin.isTTY ? ask(name) : readAll))

const readAll: Effect.Effect<string, Failure> = Effect.tryPromise({
  try: () => buffer(process.stdin),
  catch: () => unusable("standard input cannot be read", "Give the value on standard input: secrets add NAME < FILE")
}).pipe(
  Effect.flatMap((bytes) =>
    Effect.try({
      try: () => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
      catch: () =>
        unusable("the value is not UTF-8 text", "Encode binary values first: base64 < FILE | secrets add NAME")
    })
  ),
  Effect.map((text) => (text.endsWith("\n") ? text.slice(0, -1) : text))
)

/** Reads one line without showing it; Ctrl-C and the end of input give up. */
const ask = (name: string): Effect.Effect<string, Failure> =>
  Effect.callback<string, Failure>((resume) => {
    const unseen = new Writable({ write: (_piece, _encoding, done) => done() })
    const input = readline.createInterface({ input: process.stdin, output: unseen, terminal: true })
    const finish = (answer: Effect.Effect<string, Failure>) => {
      input.close()
      process.stderr.write("\n")
      resume(answer)
    }
    const givenUp = new Failure({
      message: "no value was given",
      code: "misuse",
      fix: "Nothing was added",
      exitCode: exitCode.interrupted
    })
    process.stderr.write(`Value of '${printable(name)}' (not shown): `)
    input.once("line", (line) => finish(Effect.succeed(line)))
    input.once("SIGINT", () => finish(Effect.fail(givenUp)))
    input.once("close", () => finish(Effect.fail(givenUp)))
  })

const unusable = (message: string, fix: string): Failure =>
  new Failure({ message, code: "data_error", fix, exitCode: exitCode.usage })
