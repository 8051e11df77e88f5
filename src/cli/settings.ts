/**
 * The settings a command works with: config.json, and the flags over it.
 *
 * The daemon and its clients read the same file. Where there is none, everything
 * lies in ~/.agent-secrets.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { decode, standard } from "../domain/Config.ts"
import type { Daemon } from "../rpc/client.ts"
import type { everywhere, Line } from "./Command.ts"
import { Failure, misuse } from "./Failure.ts"
import { exitStatus } from "../domain/exitStatus.ts"

type GlobalLine = Pick<Line<typeof everywhere>, "text">

/** The settings for this line; of another user, with the home directory of that one. */
export const loadConfig = Effect.fnUntraced(function* (
  line: GlobalLine,
  home: string = process.env["HOME"] || os.homedir()
) {
  const named = line.text("config")
  const file = named ?? path.join(standard(home).directory, "config.json")
  const text = yield* Effect.tryPromise({
    // To read a pipe would be to wait for whoever writes into it.
    try: async () => ((await fs.stat(file)).isFile() ? await fs.readFile(file, "utf8") : Promise.reject(notAFile)),
    catch: (cause) => (cause instanceof Error && "code" in cause ? String(cause.code) : "it is not a regular file")
  }).pipe(
    Effect.catch((code) =>
      code === "ENOENT" && named === undefined
        ? Effect.succeed("{}")
        : Effect.fail(badConfig(`cannot read ${file} (${code})`, "Give the path of a config.json with --config"))
    )
  )
  const config = decode(text, home, process.env)
  if (Result.isFailure(config)) return yield* badConfig(`${config.failure.message} (${file})`, `Correct ${file}`)
  const socket = line.text("socket")
  return socket === undefined ? config.success : { ...config.success, socketPath: path.resolve(socket) }
})

const notAFile = new Error("not a regular file")

/** The daemon to ask. */
export const loadDaemon = Effect.fnUntraced(function* (line: GlobalLine) {
  const { socketPath } = yield* loadConfig(line)
  const daemon: Daemon = { socketPath, timeout: yield* timeout(line.text("timeout")) }
  return daemon
})

const timeout = (text: string | undefined): Effect.Effect<Duration.Duration, Failure> => {
  const seconds = text === undefined ? 5 : Number(text.replace(/s$/, ""))
  return seconds > 0 && seconds <= 3600
    ? Effect.succeed(Duration.seconds(seconds))
    : Effect.fail(misuse("--timeout must be a number of seconds above 0", "For instance: --timeout 2"))
}

const badConfig = (message: string, fix: string): Failure =>
  new Failure({ message, code: "data_error", fix, exitCode: exitStatus.badConfig })
