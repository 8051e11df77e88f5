/**
 * Standard input and output of `secrets mcp`. Input is read always, so that its end is noticed at
 * once; the server gets the next line when the client has read what was written. Standard output is the protocol's alone.
 *
 * The first line is answered at once where the gate has an answer, which is the handshake: the server is
 * loaded after it.
 */
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { StringDecoder } from "node:string_decoder"
import { escapeJson } from "../../../domain/escape.ts"
import { printNotice } from "../../command/Output.ts"
import { makeMcpGate, type ReadLine } from "./mcpGate.ts"
import { makeLineSplitter } from "./mcpLines.ts"

export interface McpStdio {
  /** Completes when the client has sent something. */
  readonly begun: Effect.Effect<void>
  /** Completes at the end of input, or when nobody reads the output any more. */
  readonly closed: Effect.Effect<void>
  /** Completes then, if no request waits for an answer. */
  readonly left: Effect.Effect<void>
  /** Takes the next message of the client, with its line feed; fails at the end of input. */
  readonly take: Effect.Effect<string, Cause.Done>
  /** Writes a line of the server. */
  readonly write: (line: string) => Effect.Effect<void>
}

/** How much input may wait for a client that does not read. */
const maxWaiting = 64 * 1024 * 1024

export const openStdio = Effect.gen(function* () {
  const lines = yield* Queue.unbounded<ReadLine, Cause.Done>()
  const [begun, closed, left] = yield* Effect.all([Deferred.make<void>(), Deferred.make<void>(), Deferred.make<void>()])
  const close = () => {
    Deferred.doneUnsafe(closed, Effect.void)
    if (gate.waiting() === 0) Deferred.doneUnsafe(left, Effect.void)
  }
  let [waiting, writing] = [0, Deferred.makeUnsafe<void>()]
  Deferred.doneUnsafe(writing, Effect.void)

  const decoder = new StringDecoder("utf8")
  const split = makeLineSplitter()
  const gate = makeMcpGate()
  const receive = (text: string) => {
    for (const line of split(text)) {
      const { answer, message } = gate.read(line)
      const isFirst = Deferred.doneUnsafe(begun, Effect.void)
      if (isFirst && answer !== undefined) process.stdout.write(escapeJson(`${answer}\n`))
      queue(isFirst ? { message } : { answer, message })
    }
    if (waiting > maxWaiting) {
      printNotice("secrets mcp: the client sends and does not read")
      process.stdin.destroy()
      close()
    }
  }
  const queue = (read: ReadLine) => {
    waiting += sizeOf(read)
    if (sizeOf(read) > 0) Queue.offerUnsafe(lines, read)
  }
  process.stdin.on("data", (bytes: Buffer) => receive(decoder.write(bytes)))
  process.stdin.once("end", () => {
    Queue.endUnsafe(lines)
    close()
  })
  process.stdin.once("error", close)
  process.stdin.once("close", close)
  process.stdout.on("error", close)

  const print = (text: string) =>
    Effect.callback<void>((resume) => {
      const done = Deferred.makeUnsafe<void>()
      writing = done
      process.stdout.write(escapeJson(text), () => {
        Deferred.doneUnsafe(done, Effect.void)
        resume(Effect.void)
      })
    })
  const take: McpStdio["take"] = Effect.gen(function* () {
    while (true) {
      const { answer = "", message } = yield* Queue.take(lines)
      waiting -= answer.length + (message ?? "").length
      yield* Deferred.await(writing)
      if (answer !== "") yield* print(`${answer}\n`)
      if (message !== undefined) return `${message}\n`
    }
  })
  const stdio: McpStdio = {
    begun: Deferred.await(begun),
    closed: Deferred.await(closed),
    left: Deferred.await(left),
    take,
    write: (line) =>
      Effect.suspend(() => {
        const text = gate.written(line)
        return text === "" ? Effect.void : print(text)
      })
  }
  return stdio
})

const sizeOf = ({ answer = "", message = "" }: ReadLine): number => answer.length + message.length
