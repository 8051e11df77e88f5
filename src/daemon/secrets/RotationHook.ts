/**
 * Runs the command that rotates a secret: in a process group of its own, with a
 * small environment, for a bounded time.
 *
 * It gives what the command printed and how it ended; what becomes of that is
 * `rotate`'s business. At the deadline, and when the daemon is told to stop, the
 * whole group is killed. What a command leaves running behind it does not hold up
 * the answer.
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
import type { GoDuration } from "../../domain/GoDuration.ts"
import { formatGoDuration, toMillis } from "../../domain/GoDuration.ts"
import { valueLimit } from "../../domain/Secret.ts"

export interface HookResult {
  readonly stdout: Uint8Array
  readonly stderr: Uint8Array
  readonly status: "done" | "failed" | "timed out"
  /** The same in words for the audit log, such as `exit status 3, 12 bytes of output`. */
  readonly outcome: string
}

export class RotationHook extends Context.Service<
  RotationHook,
  {
    /** One at a time; others wait. */
    readonly run: (command: string, secretName: string) => Effect.Effect<HookResult>
  }
>()("agent-secrets/RotationHook") {
  /** Runs commands with `/bin/sh -c`; `timeout` is the deadline of each. */
  static readonly layer = (options: {
    readonly timeout: GoDuration
    readonly environment: Readonly<Record<string, string | undefined>>
  }) =>
    Layer.effect(
      RotationHook,
      Effect.map(Semaphore.make(1), (turn) => ({
        run: (command: string, secretName: string) => Semaphore.withPermit(turn, runHook(command, secretName, options))
      }))
    )

  /** Gives what the function says, for tests. */
  static readonly layerMemory = (run: (command: string, secretName: string) => HookResult) =>
    Layer.succeed(RotationHook, { run: (command, secretName) => Effect.sync(() => run(command, secretName)) })
}

/** What a command needs to find its programs and its user; nothing the daemon was given for itself. */
const passedOn = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR"]

/** More than a value can be; the rest of what is printed is read and dropped. */
const keptOutput = 2 * valueLimit

/** How long after the end of the command its output may stay open: a process left behind may hold it for ever. */
const outputGrace = "500 millis"

const runHook = Effect.fnUntraced(function* (
  command: string,
  secretName: string,
  options: { readonly timeout: GoDuration; readonly environment: Readonly<Record<string, string | undefined>> }
) {
  const child = yield* Effect.result(
    Effect.try(() =>
      spawn("/bin/sh", ["-c", command], {
        cwd: "/",
        detached: true,
        env: smallEnvironment(options.environment, secretName),
        stdio: ["ignore", "pipe", "pipe"]
      })
    )
  )
  // Node throws for a command that no system call could take, and has no pipes where there are no descriptors left.
  if (Result.isFailure(child)) return notRun
  if (!Predicate.isObject(child.success.stdout) || !Predicate.isObject(child.success.stderr)) {
    child.success.once("error", () => undefined)
    return notRun
  }
  return yield* watch(child.success, options.timeout)
}, Effect.uninterruptible)

const notRun: HookResult = {
  stdout: new Uint8Array(),
  stderr: new Uint8Array(),
  status: "failed",
  outcome: "could not be run"
}

/** Waits for the end, at most until the deadline or until the daemon stops; after those nothing of the group is left. */
const watch = Effect.fnUntraced(function* (
  child: ChildProcessByStdio<null, Readable, Readable>,
  timeout: GoDuration
): Effect.fn.Return<HookResult> {
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)]
  const waited = yield* Effect.exit(Effect.interruptible(Effect.timeoutOption(ended(child), toMillis(timeout))))
  const end = Exit.isSuccess(waited) ? Option.getOrUndefined(waited.value) : undefined
  if (end === undefined) yield* Effect.sync(() => killGroup(child))
  yield* closed(child).pipe(Effect.timeoutOption(outputGrace))
  yield* Effect.sync(() => {
    child.stdout.destroy()
    child.stderr.destroy()
  })
  const printed = { stdout: stdout(), stderr: stderr() }
  const words = (how: string) => `${how}, ${printed.stdout.length + printed.stderr.length} bytes of output`
  if (Exit.isFailure(waited)) return { ...printed, status: "failed", outcome: words("killed, the daemon stops") }
  if (end === undefined) {
    return { ...printed, status: "timed out", outcome: words(`timed out after ${formatGoDuration(timeout)}`) }
  }
  return { ...printed, status: end.good ? "done" : "failed", outcome: words(end.words) }
})

const ended = (child: ChildProcess) =>
  Effect.callback<{ readonly good: boolean; readonly words: string }>((resume) => {
    child.once("error", () => resume(Effect.succeed({ good: false, words: "could not be run" })))
    child.once("exit", (status, signal) =>
      resume(
        Effect.succeed({ good: status === 0, words: signal === null ? `exit status ${status}` : `killed by ${signal}` })
      )
    )
  })

const closed = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.stdout?.closed !== false && child.stderr?.closed !== false) resume(Effect.void)
    else child.once("close", () => resume(Effect.void))
  }).pipe(Effect.interruptible)

const collect = (stream: NodeJS.ReadableStream): (() => Buffer) => {
  const pieces: Array<Buffer> = []
  let length = 0
  stream.on("error", () => undefined)
  stream.on("data", (piece: Buffer) => {
    if (length < keptOutput) pieces.push(piece)
    length += piece.length
  })
  return () => Buffer.concat(pieces).subarray(0, keptOutput)
}

const killGroup = (child: ChildProcess): void => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
  } catch {
    // The group has ended by itself in this moment.
  }
}

const smallEnvironment = (
  environment: Readonly<Record<string, string | undefined>>,
  secretName: string
): Record<string, string> => ({
  PATH: "/usr/local/bin:/usr/bin:/bin",
  ...Object.fromEntries(
    passedOn.flatMap((name) => {
      const value = environment[name]
      return value === undefined ? [] : [[name, value]]
    })
  ),
  SECRET_NAME: secretName.replaceAll("\u0000", "")
})
