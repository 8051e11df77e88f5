/**
 * Runs a program with our terminal, standard input and signals, and returns its exit status.
 *
 * On a terminal, it stays in our process group: the kernel sends ^C, ^\ and ^Z to both.
 * Otherwise it leads its own group, which gets our signals. Node's `spawn` is used because
 * `effect/process` kills the group of a child that fails.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import { constants } from "node:os"
import * as path from "node:path"
import type { Readable } from "node:stream"
import { isatty } from "node:tty"
import { escapeValue } from "../../../domain/escape.ts"
import { childEnvironment } from "../../../domain/childEnvironment.ts"
import { CommandError } from "../../command/CommandError.ts"
import { reasonOf } from "../../command/Output.ts"
import { makePrivateDirectory } from "./privateDirectory.ts"
import { restoreCoreFiles } from "../../../process/coreFiles.ts"

export interface ChildOptions {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Forwards the program's output from pipes; false if some was lost. Without it, the program inherits ours. */
  readonly pipeOutput?: ((running: RunningChild) => Effect.Effect<boolean>) | undefined
  /** Runs beside the program, and may signal it. */
  readonly monitor?: ((running: RunningChild) => Effect.Effect<void>) | undefined
}

export interface RunningChild {
  /** Its standard output and error, if they are pipes. */
  readonly outputs: ReadonlyArray<Readable | null>
  readonly signal: (name: NodeJS.Signals) => void
  /** Completes at the program's exit. Other processes may still hold its output. */
  readonly exited: Effect.Effect<void>
  /** Completes when we are signalled after that. */
  readonly stopRequested: Effect.Effect<void>
}

/** The exit statuses of shells. */
const notFound = 127
const notExecutable = 126
/** Of a program that succeeded, in place of 0. */
const outputLost = 1

/** Signals that are forwarded without a terminal, besides SIGTSTP. */
const forwarded = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGWINCH"] as const
/** On a terminal, only what the terminal does not send to the whole group is forwarded. */
const forwardedOnTerminal: ReadonlySet<string> = new Set(["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])
/** Sent by the terminal to both; they must not end us before the program. */
const ignoredOnTerminal: ReadonlySet<string> = new Set(["SIGINT", "SIGQUIT"])

/** Returns the exit status: 128 plus the signal number if a signal ended the program. */
export const runChild = (options: ChildOptions): Effect.Effect<number, CommandError> =>
  Effect.gen(function* () {
    const status = yield* Deferred.make<number, CommandError>()
    const stopRequested = yield* Deferred.make<void>()
    const started = yield* Deferred.make<ChildProcess, CommandError>()
    const onTerminal = [0, 1, 2].some((fd) => isatty(fd))
    // Before the handlers: until then, a signal interrupts us.
    const pipes = options.pipeOutput === undefined ? undefined : yield* makePipes
    const life: { child?: ChildProcess; isOver: boolean } = { isOver: false }
    const signal = (name: NodeJS.Signals) => {
      if (life.isOver) Deferred.doneUnsafe(stopRequested, Effect.void)
      else if (life.child !== undefined) send(life.child, onTerminal, name)
    }
    // Before the start: the program may be signalled before this fiber continues.
    handleSignals(onTerminal, signal)
    const launched = launch(options, pipes, onTerminal)
    if ("_tag" in launched) return yield* launched
    const { child, outputs } = launched
    life.child = child
    child.once("spawn", () => Deferred.doneUnsafe(started, Effect.succeed(child)))
    child.once("error", (error) => Deferred.doneUnsafe(started, Effect.fail(cannotStart(options.command, error))))
    child.once("exit", (code, signal) => {
      life.isOver = true
      Deferred.doneUnsafe(status, Effect.succeed(code ?? statusOf(signal)))
    })

    yield* Deferred.await(started)
    const running: RunningChild = {
      outputs,
      signal,
      exited: Effect.asVoid(Effect.ignore(Deferred.await(status))),
      stopRequested: Deferred.await(stopRequested)
    }
    const end = Effect.all([Deferred.await(status), options.pipeOutput?.(running) ?? Effect.succeed(true)], {
      concurrency: 2
    })
    const [code, isComplete] = yield* options.monitor === undefined
      ? end
      : Effect.raceFirst(end, Effect.andThen(options.monitor(running), Effect.never))
    return code === 0 && !isComplete ? outputLost : code
  })

const launch = (
  { args, command, env, pipeOutput }: ChildOptions,
  pipes: readonly [Pipe, Pipe] | undefined,
  onTerminal: boolean
) => {
  const [out, err] = pipes?.map(({ writer }) => writer) ?? []
  const piped = ["inherit", out ?? "pipe", err ?? "pipe"] satisfies StdioOptions
  try {
    const stdio = pipeOutput === undefined ? "inherit" : piped
    const child = spawn(command, args, { env, stdio, detached: !onTerminal })
    restoreCoreFiles(child.pid)
    return { child, outputs: pipes?.map(({ reader }) => reader) ?? [child.stdout, child.stderr] }
  } catch (error) {
    // E2BIG, for instance. Node's own errors about a variable would quote its value.
    return cannotStart(command, error)
  } finally {
    for (const { writer } of pipes ?? []) fs.closeSync(writer)
  }
}

/** Replaces the handlers of all signals, for the rest of our life. */
const handleSignals = (onTerminal: boolean, signal: (name: NodeJS.Signals) => void): void => {
  for (const name of forwarded) {
    if (onTerminal && !forwardedOnTerminal.has(name) && !ignoredOnTerminal.has(name)) continue
    process.removeAllListeners(name)
    process.on(name, () => {
      if (!onTerminal || forwardedOnTerminal.has(name)) signal(name)
    })
  }
  process.removeAllListeners("SIGTSTP")
  if (onTerminal) return
  // SIGTSTP does nothing in an orphaned process group, so SIGSTOP is sent instead.
  process.on("SIGTSTP", () => {
    signal("SIGSTOP")
    process.kill(process.pid, "SIGSTOP")
  })
}

const send = (child: ChildProcess, onTerminal: boolean, name: NodeJS.Signals): void => {
  if (child.pid === undefined) return
  try {
    process.kill(onTerminal ? child.pid : -child.pid, name)
  } catch {
    // It has just exited.
  }
}

const statusOf = (signal: NodeJS.Signals | null): number => 128 + (signal === null ? 0 : constants.signals[signal])

const cannotStart = (command: string, error: unknown): CommandError => {
  const reason = reasonOf(error)
  const missing = reason === "ENOENT"
  return new CommandError({
    message: `cannot run ${escapeValue(command)}: ${missing ? "no such program" : reason}`,
    code: "io_error",
    fix: missing
      ? "Check the PATH. Shell syntax needs a shell: secrets exec -- sh -c '…'"
      : reason === "E2BIG"
        ? "Shorten the arguments and variables: together they exceed the system's limit"
        : "Check that it is executable: ls -l",
    exitStatus: missing ? notFound : notExecutable
  })
}

interface Pipe {
  readonly reader: Readable
  /** The descriptor for the program. We close our copy after the start. */
  readonly writer: number
}

/** For mkfifo. */
const pipeTimeout = "5 seconds"

/**
 * Makes two pipes as a shell does: named pipes, unlinked at once.
 *
 * The pipes of Node are socket pairs: a program cannot open them as /dev/stdout, and gets
 * ECONNRESET in place of SIGPIPE. Returns undefined if there can be none, for Bun, which
 * cannot read from such a pipe, and on macOS, which has neither fault and reports no end of one.
 */
const makePipes: Effect.Effect<readonly [Pipe, Pipe] | undefined> = Effect.suspend(() =>
  process.versions["bun"] !== undefined || process.platform === "darwin"
    ? Effect.succeed(undefined)
    : Effect.acquireUseRelease(
        // Only this user can enter the directory.
        Effect.try(() => makePrivateDirectory("secrets-exec-")),
        makeNamedPipes,
        (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
      ).pipe(Effect.orElseSucceed(() => undefined))
)

const makeNamedPipes = Effect.fnUntraced(function* (directory: string) {
  const { runTool } = yield* Effect.promise(() => import("../../../process/runTool.ts"))
  const [out, err] = [path.join(directory, "out"), path.join(directory, "err")]
  yield* runTool(["mkfifo", "-m", "600", out, err], { env: childEnvironment(process.env), timeout: pipeTimeout })
  return yield* Effect.try(() => [openPipe(out), openPipe(err)] as const)
})

/** Opens both ends of a named pipe, the reader first and non-blocking: opening one end waits for the other. */
const openPipe = (name: string): Pipe => {
  const reader = fs.openSync(name, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOFOLLOW)
  const writer = fs.openSync(name, fs.constants.O_WRONLY | fs.constants.O_NOFOLLOW)
  return { reader: new net.Socket({ fd: reader, readable: true, writable: false }), writer }
}
