/**
 * Runs the command of `--on-revoke`, with a shell, in the environment of `exec` without the values.
 *
 * It gets no input, and its output is on our standard error.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { spawn } from "node:child_process"
import type { News } from "./programStates.ts"

/** Returns whether it succeeded within the time, in milliseconds. */
export const runReaction = (command: string, news: News, pid: number, limit: number): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const env = {
      ...process.env,
      SECRET_NAME: news.secretName?.replaceAll("\u0000", "") ?? "",
      AGENT_SECRETS_BECAUSE: news.because,
      AGENT_SECRETS_PROGRAM: String(pid)
    }
    const child = spawn("/bin/sh", ["-c", command], { env, stdio: ["ignore", 2, 2] })
    child.once("error", () => resume(Effect.succeed(false)))
    child.once("exit", (status) => resume(Effect.succeed(status === 0)))
    return Effect.sync(() => void child.kill("SIGKILL"))
  }).pipe(
    limit === Infinity
      ? (run) => run
      : (run) => Effect.timeoutOption(run, limit).pipe(Effect.map(Option.getOrElse(() => false)))
  )
