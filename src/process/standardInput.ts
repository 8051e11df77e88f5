/**
 * Standard input, or a file, to its end, as bytes. Input that does not end, such as /dev/zero, is given up at a limit.
 *
 * `cat` reads a named pipe: opening one waits for its writer, and a wait of our own would keep the
 * process from ending on Ctrl-C. On macOS it reads standard input too, because Node is never told
 * of the end of a named pipe there.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { createReadStream, fstatSync, statSync } from "node:fs"
import * as path from "node:path"

/** More than any store, and less than the memory. */
const mostMebibytes = 64

/** Reads `input`, which is standard input except in tests. */
export const readToEnd = (
  input: NodeJS.ReadableStream,
  mebibytes = mostMebibytes,
  platform: string = process.platform
): Effect.Effect<Buffer, unknown> =>
  platform === "darwin" && input === process.stdin && isNamedPipe(0)
    ? readWithCat(mebibytes, [], 0)
    : readStream(input, mebibytes)

const readStream = (input: NodeJS.ReadableStream | null, mebibytes: number): Effect.Effect<Buffer, unknown> =>
  Effect.tryPromise({
    try: async () => {
      const chunks: Array<Buffer> = []
      let length = 0
      for await (const chunk of input ?? []) {
        const bytes = Buffer.from(chunk)
        chunks.push(bytes)
        length += bytes.length
        if (length > mebibytes * 1024 * 1024) throw new Error(`it is longer than ${mebibytes} MiB`)
      }
      return Buffer.concat(chunks)
    },
    catch: (cause) => cause
  })

/** Returns false for the pipes of a shell, which have no device on macOS. */
const isNamedPipe = (descriptor: number): boolean => {
  const stat = fstatSync(descriptor)
  return stat.isFIFO() && stat.dev !== 0
}

/** Reads a file to its end. */
export const readPath = (file: string, mebibytes = mostMebibytes): Effect.Effect<Buffer, unknown> =>
  Effect.flatMap(Effect.try({ try: () => statSync(file).isFIFO(), catch: (cause) => cause }), (isPipe) => {
    if (!isPipe) return readStream(createReadStream(file), mebibytes)
    const descriptor = descriptorOf(file)
    return descriptor === undefined
      ? readWithCat(mebibytes, ["--", path.resolve(file)], "ignore")
      : readWithCat(mebibytes, [], descriptor)
  })

/** Returns the descriptor of ours that a path names; for cat, the path would name another one. */
const descriptorOf = (file: string): number | undefined => {
  const [all, number] = /^\/(?:dev|proc\/self)\/(?:stdin|fd\/(\d+))$/.exec(file) ?? []
  return all === undefined ? undefined : Number(number ?? 0)
}

/** Reads a named pipe, or a descriptor of ours. */
const readWithCat = (
  mebibytes: number,
  args: ReadonlyArray<string>,
  input: number | "ignore"
): Effect.Effect<Buffer, unknown> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const child = spawn("/bin/cat", args, { cwd: "/", env: {}, stdio: [input, "pipe", "ignore"] })
      const ended = new Promise<number | NodeJS.Signals | Error | null>((resolve) => {
        child.once("error", resolve)
        child.once("close", (status, signal) => resolve(signal ?? status))
      })
      const { stdout: output } = child
      return { child, ended, output }
    }),
    Effect.fnUntraced(function* ({ ended, output }) {
      const bytes = yield* readStream(output, mebibytes)
      const status = yield* Effect.promise(() => ended)
      if (status === 0) return bytes
      // Ctrl-C ends it too: what it has read by then is not the value.
      return yield* Effect.fail(status instanceof Error ? status : new Error(`cat ended with ${status}`))
    }),
    ({ child }) => Effect.sync(() => child.kill())
  )
