/**
 * Runs the command that rotates a secret: in its own process group, with a deadline.
 *
 * The group is killed at the deadline and when the daemon stops. Background processes of a
 * finished command keep running and delay nothing. effect/process would kill them, and does
 * not report the signal that ended a command. `rotate` interprets the result.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process"
import type { Readable } from "node:stream"
import { childEnvironment } from "../../domain/childEnvironment.ts"
import { counted } from "../../domain/counted.ts"
import { formatGoDuration, type GoDuration, toMillis } from "../../domain/GoDuration.ts"
import { valueLimit } from "../../domain/Secret.ts"
import { recordChild } from "../../process/childRecord.ts"

export interface HookResult {
  readonly stdout: Uint8Array
  readonly stderr: Uint8Array
  readonly status: "done" | "failed" | "timed out"
  /** The status in words for the audit log, such as `exit status 3, 12 bytes of output`. */
  readonly outcome: string
}

export class RotationHook extends Context.Service<
  RotationHook,
  {
    /** Runs one command at a time; others wait. `admit` runs right before the command, and prevents it by failing. */
    readonly run: <E = never>(
      command: string,
      secretName: string,
      admit?: Effect.Effect<void, E>
    ) => Effect.Effect<HookResult, E>
  }
>()("agent-secrets/RotationHook") {
  /** Runs commands with `/bin/sh -c`; `timeout` is the deadline of each. */
  static readonly layer = (options: {
    readonly timeout: GoDuration
    readonly environment: Readonly<Record<string, string | undefined>>
  }) =>
    Layer.effect(
      RotationHook,
      Effect.map(Semaphore.make(1), (lock) => ({
        run: <E = never>(command: string, secretName: string, admit: Effect.Effect<void, E> = Effect.void) =>
          Semaphore.withPermit(lock, Effect.andThen(admit, runHook(command, secretName, options)))
      }))
    )
}

/** More than the size of a value; further output is read and dropped. */
const maxOutput = 2 * valueLimit

/** How long the output may stay open after the command ends: a background process may never close it. */
const outputGrace = "500 millis"

const runHook = Effect.fn("runHook")(
  function* (
    command: string,
    secretName: string,
    options: { readonly timeout: GoDuration; readonly environment: Readonly<Record<string, string | undefined>> }
  ) {
    const started = yield* Effect.result(
      Effect.try(() => {
        const child = spawn("/bin/sh", ["-c", command], {
          cwd: "/",
          detached: true,
          env: { ...childEnvironment(options.environment), SECRET_NAME: secretName.replaceAll("\u0000", "") },
          stdio: ["ignore", "pipe", "pipe"]
        })
        return { child, exited: exitOf(child) }
      })
    )
    // Node throws if the command contains a NUL, and returns no pipes if there are no descriptors left.
    if (Result.isFailure(started)) return notStarted
    const { child, exited } = started.success
    if (!Predicate.isObject(child.stdout) || !Predicate.isObject(child.stderr)) return notStarted
    if (child.pid !== undefined) yield* recordChild(child.pid, toMillis(options.timeout))
    return yield* awaitEnd(child, exited, options.timeout)
  },
  Effect.scoped,
  Effect.uninterruptible
)

const notStarted: HookResult = {
  stdout: new Uint8Array(),
  stderr: new Uint8Array(),
  status: "failed",
  outcome: "could not be run"
}

/** Waits until the command ends, the deadline passes or the daemon stops; the last two kill the group. */
const awaitEnd = Effect.fn("awaitEnd")(function* (
  child: ChildProcessByStdio<null, Readable, Readable>,
  exited: Promise<ChildExit>,
  timeout: GoDuration
): Effect.fn.Return<HookResult> {
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)]
  const waited = yield* Effect.exit(
    Effect.interruptible(
      Effect.timeoutOption(
        Effect.promise(() => exited),
        toMillis(timeout)
      )
    )
  )
  const exit = Exit.isSuccess(waited) ? Option.getOrUndefined(waited.value) : undefined
  if (exit === undefined) yield* Effect.sync(() => killGroup(child))
  yield* awaitOutput(child).pipe(Effect.timeoutOption(outputGrace))
  yield* Effect.sync(() => {
    child.stdout.destroy()
    child.stderr.destroy()
  })
  const output = { stdout: stdout(), stderr: stderr() }
  const describe = (end: string) => `${end}, ${counted(output.stdout.length + output.stderr.length, "byte")} of output`
  if (Exit.isFailure(waited)) return { ...output, status: "failed", outcome: describe("killed, the daemon stops") }
  if (exit === undefined) {
    return { ...output, status: "timed out", outcome: describe(`timed out after ${formatGoDuration(timeout)}`) }
  }
  return { ...output, status: exit.isSuccess ? "done" : "failed", outcome: describe(exit.description) }
})

interface ChildExit {
  readonly isSuccess: boolean
  readonly description: string
}

/** Listens from the start on: a fiber may yield before it waits, and the command may be over by then. */
const exitOf = (child: ChildProcess): Promise<ChildExit> =>
  new Promise((resolve) => {
    child.once("error", () => resolve({ isSuccess: false, description: "could not be run" }))
    child.once("exit", (status, signal) =>
      resolve({
        isSuccess: status === 0,
        description: signal === null ? `exit status ${status}` : `killed by ${signal}`
      })
    )
  })

const awaitOutput = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.stdout?.closed !== false && child.stderr?.closed !== false) resume(Effect.void)
    else child.once("close", () => resume(Effect.void))
  }).pipe(Effect.interruptible)

const collect = (stream: NodeJS.ReadableStream): (() => Buffer) => {
  const chunks: Array<Buffer> = []
  let length = 0
  stream.on("error", () => undefined)
  stream.on("data", (chunk: Buffer) => {
    if (length < maxOutput) chunks.push(chunk)
    length += chunk.length
  })
  return () => Buffer.concat(chunks).subarray(0, maxOutput)
}

const killGroup = (child: ChildProcess): void => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
  } catch {
    // The group has already ended.
  }
}
