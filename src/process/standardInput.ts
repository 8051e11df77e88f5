/**
 * Standard input, or a file, to its end, as bytes.
 *
 * `cat` reads a named pipe: opening one waits for its writer, and a wait of our own would keep the
 * process from ending on Ctrl-C. On macOS it reads standard input too, because Node is never told
 * of the end of a named pipe there.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { fstatSync, statSync } from "node:fs"
import { readFile } from "node:fs/promises"
import * as path from "node:path"
import { buffer } from "node:stream/consumers"

/** Reads `input`, which is standard input except in tests. */
export const readToEnd = (
  input: NodeJS.ReadableStream,
  platform: string = process.platform
): Effect.Effect<Buffer, unknown> =>
  platform === "darwin" && input === process.stdin && isNamedPipe(0)
    ? readWithCat()
    : Effect.tryPromise({ try: () => buffer(input), catch: (cause) => cause })

/** Returns false for the pipes of a shell, which have no device on macOS. */
const isNamedPipe = (descriptor: number): boolean => {
  const stat = fstatSync(descriptor)
  return stat.isFIFO() && stat.dev !== 0
}

/** Reads a file to its end. */
export const readPath = (file: string): Effect.Effect<Buffer, unknown> =>
  Effect.flatMap(Effect.try({ try: () => statSync(file).isFIFO(), catch: (cause) => cause }), (isPipe) =>
    isPipe ? readWithCat(path.resolve(file)) : Effect.tryPromise({ try: () => readFile(file), catch: (cause) => cause })
  )

/** Reads a named pipe, or standard input. */
const readWithCat = (file?: string) =>
  Effect.callback<Buffer, unknown>((resume) => {
    const [args, input] = file === undefined ? [[], 0 as const] : [["--", file], "ignore" as const]
    const child = spawn("/bin/cat", args, { cwd: "/", env: {}, stdio: [input, "pipe", "ignore"] })
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
