/**
 * Standard input and output of `secrets mcp`. Input is read always, so that its end is noticed at
 * once; the server gets the next line when the client has read what was written. Standard output is the protocol's alone.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { StringDecoder } from "node:string_decoder"
import { escapeJson } from "../../../domain/escape.ts"
import { printNotice } from "../../command/Output.ts"
import { makeLineSplitter, readMcpLine } from "./mcpLines.ts"

export interface McpStdio {
  readonly layer: Layer.Layer<Stdio.Stdio>
  /** Completes at the end of input, or when nobody reads the output any more. */
  readonly closed: Effect.Effect<void>
}

/** How much input may wait for a client that does not read. */
const maxWaiting = 64 * 1024 * 1024

export const openStdio = Effect.gen(function* () {
  const lines = yield* Queue.unbounded<string, Cause.Done>()
  const closed = yield* Deferred.make<void>()
  const close = () => Deferred.doneUnsafe(closed, Effect.void)
  let [waiting, writing] = [0, Deferred.makeUnsafe<void>()]
  Deferred.doneUnsafe(writing, Effect.void)

  const decoder = new StringDecoder("utf8")
  const split = makeLineSplitter()
  const receive = (text: string) => {
    for (const line of split(text)) {
      const message = readMcpLine(line)
      if (message !== undefined) {
        waiting += message.length
        Queue.offerUnsafe(lines, `${message}\n`)
      } else if (line.trim() !== "") printNotice("secrets mcp: a line of the client is no message")
    }
    if (waiting > maxWaiting) {
      printNotice("secrets mcp: the client sends and does not read")
      process.stdin.destroy()
      close()
    }
  }
  process.stdin.on("data", (bytes: Buffer) => receive(decoder.write(bytes)))
  process.stdin.once("end", () => {
    Queue.endUnsafe(lines)
    close()
  })
  process.stdin.once("error", close)
  process.stdin.once("close", close)
  process.stdout.on("error", close)

  const write = (chunk: string | Uint8Array) =>
    Effect.callback<void>((resume) => {
      const done = Deferred.makeUnsafe<void>()
      writing = done
      process.stdout.write(typeof chunk === "string" ? escapeJson(chunk) : chunk, () => {
        Deferred.doneUnsafe(done, Effect.void)
        resume(Effect.void)
      })
    })
  const whenRead = (line: string) =>
    Effect.suspend(() => {
      waiting -= line.length - 1
      return Effect.as(Deferred.await(writing), line)
    })
  const stdio: McpStdio = {
    closed: Deferred.await(closed),
    layer: Layer.succeed(
      Stdio.Stdio,
      Stdio.make({
        args: Effect.succeed([]),
        stdinIsTerminal: Effect.succeed(false),
        stdoutIsTerminal: Effect.succeed(false),
        stderrIsTerminal: Effect.succeed(false),
        stdin: Stream.mapEffect(Stream.fromQueue(lines), (line) =>
          Effect.map(whenRead(line), (text) => new TextEncoder().encode(text))
        ),
        stdout: () => Sink.forEach(write),
        stderr: () => Sink.drain
      })
    )
  }
  return stdio
})
