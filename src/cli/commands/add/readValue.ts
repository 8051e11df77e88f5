/**
 * A value from standard input or a file: all of it from a pipe or a file, one unseen
 * line from a terminal. The prompt goes to standard error.
 */
import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"
import * as readline from "node:readline"
import { Writable } from "node:stream"
import { buffer } from "node:stream/consumers"
import { printable } from "../../terminal/table.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError } from "../../command/CommandError.ts"
import { reasonOf } from "../../command/Output.ts"

/** Where a value comes from and where a prompt goes. */
export interface ValueInput {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly prompt: NodeJS.WritableStream
}

const processStdio = (): ValueInput => ({ input: process.stdin, prompt: process.stderr })

export const readValue = (name: string, console: ValueInput = processStdio()): Effect.Effect<string, CommandError> =>
  Effect.suspend(() => (console.input.isTTY === true ? ask(name, console) : readAll(console)))

const readAll = ({ input }: ValueInput): Effect.Effect<string, CommandError> =>
  Effect.tryPromise({
    try: () => buffer(input),
    catch: () => unusable("standard input cannot be read", "Give the value on standard input: secrets add NAME < FILE")
  }).pipe(Effect.flatMap(decode), Effect.map(withoutLineFeed))

const decode = (bytes: Uint8Array): Effect.Effect<string, CommandError> =>
  Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
    catch: () => unusable("the value is not UTF-8 text", "Encode binary values first: base64 < FILE | secrets add NAME")
  })

const withoutLineFeed = (text: string): string => (text.endsWith("\n") ? text.slice(0, -1) : text)

/** The value that a file is, read as a pipe is. */
export const readFileValue = (file: string): Effect.Effect<string, CommandError> =>
  Effect.map(readText(file), withoutLineFeed)

/** Everything in a file, as it is. `-` is a file of that name: standard input is read where none is named. */
export const readText = (file: string): Effect.Effect<string, CommandError> =>
  Effect.tryPromise({
    try: () => readFile(file),
    catch: (error) =>
      unusable(`cannot read ${file} (${reasonOf(error)})`, "Nothing was changed. Name a file that you may read")
  }).pipe(Effect.flatMap(decode))

/** Reads one line without showing it; Ctrl-C and the end of input give up. */
const ask = (name: string, { input: terminal, prompt }: ValueInput): Effect.Effect<string, CommandError> =>
  Effect.callback<string, CommandError>((resume) => {
    const unseen = new Writable({ write: (_piece, _encoding, done) => done() })
    const input = readline.createInterface({ input: terminal, output: unseen, terminal: true })
    const finish = (answer: Effect.Effect<string, CommandError>) => {
      input.removeAllListeners()
      input.close()
      prompt.write("\n")
      resume(answer)
    }
    const givenUp = new CommandError({
      message: "no value was given",
      code: "misuse",
      fix: "Nothing was added",
      exitStatus: exitStatus.interrupted
    })
    prompt.write(`Value of '${printable(name)}' (not shown): `)
    const lines: Array<string> = []
    input.on("line", (line) => {
      // What is pasted comes in one piece: all its lines are here before the next task runs.
      if (lines.push(line) === 1) {
        queueMicrotask(() =>
          finish(lines.length + input.line.length > 1 ? Effect.fail(severalLines) : Effect.succeed(line))
        )
      }
    })
    input.once("SIGINT", () => finish(Effect.fail(givenUp)))
    input.once("close", () => finish(Effect.fail(givenUp)))
  })

const severalLines = new CommandError({
  message: "more than one line was given, and a prompt takes one",
  code: "misuse",
  fix: "Give values of many lines from a file: secrets add NAME < FILE",
  exitStatus: exitStatus.usage
})

const unusable = (message: string, fix: string): CommandError =>
  new CommandError({ message, code: "data_error", fix, exitStatus: exitStatus.usage })
