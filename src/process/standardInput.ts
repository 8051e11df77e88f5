/**
 * Standard input to its end, as bytes.
 *
 * macOS never reports the end of a named pipe to a process that waits for it as Node does. There,
 * `cat` reads it. A blocking read of our own would keep the process from ending on Ctrl-C.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { fstatSync } from "node:fs"
import { buffer } from "node:stream/consumers"

/** Reads `input`, which is standard input except in tests. */
export const readToEnd = (
  input: NodeJS.ReadableStream,
  platform: string = process.platform
): Effect.Effect<Buffer, unknown> =>
  platform === "darwin" && input === process.stdin && isNamedPipe(0)
    ? readWithCat
    : Effect.tryPromise({ try: () => buffer(input), catch: (cause) => cause })

/** Returns false for the pipes of a shell, which have no device on macOS. */
const isNamedPipe = (descriptor: number): boolean => {
  const stat = fstatSync(descriptor)
  return stat.isFIFO() && stat.dev !== 0
}

const readWithCat = Effect.callback<Buffer, unknown>((resume) => {
  const child = spawn("/bin/cat", { cwd: "/", env: {}, stdio: [0, "pipe", "ignore"] })
  const chunks: Array<Buffer> = []
  child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk))
  child.once("error", (error) => resume(Effect.fail(error)))
  // Ctrl-C ends it too: what it has read by then is not the value.
  child.once("close", (status, signal) =>
    resume(
      status === 0
        ? Effect.succeed(Buffer.concat(chunks))
        : Effect.fail(new Error(`cat ended with ${signal ?? status}`))
    )
  )
  return Effect.sync(() => child.kill())
})
