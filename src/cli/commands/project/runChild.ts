/**
 * Runs a program with our terminal, standard input and signals, and returns its exit status.
 *
 * Where there is a terminal, it stays in our process group: the kernel sends ^C, ^\ and ^Z to
 * both. Otherwise it leads its own session, whose group gets our signals. Node's `spawn` is used because
 * `effect/process` kills the group of a child that fails.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { type StdioOptions, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import { constants } from "node:os"
import * as path from "node:path"
import type { Readable } from "node:stream"
import { childEnvironment } from "../../../domain/childEnvironment.ts"
import type { CommandError } from "../../command/CommandError.ts"
import { reasonOf } from "../../command/Output.ts"
import { hasControllingTerminal } from "../../../process/controllingTerminal.ts"
import { forwardSignals, ignoring } from "./forwardSignals.ts"
import { makePrivateDirectory } from "./privateDirectory.ts"
import { ProgramProcesses } from "../../../process/ProgramProcesses.ts"
import { restoreCoreFiles } from "../../../process/coreFiles.ts"

export interface ChildOptions<Watched = never> {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Open descriptors that it gets beside standard input, output and error. */
  readonly descriptors?: ReadonlyArray<number>
  /** Signals that stay ignored for it. */
  readonly ignoredSignals?: ReadonlyArray<NodeJS.Signals>
  /** Its standard input is empty instead of ours. */
  readonly withoutInput?: boolean
  /** Forwards the program's output from pipes; false if some was lost. Without it, the program inherits ours. */
  readonly pipeOutput?: ((running: RunningChild) => Effect.Effect<boolean>) | undefined
  /** Runs beside the program until it has ended, and may signal it. */
  readonly monitor?: ((running: RunningChild) => Effect.Effect<Watched>) | undefined
  /** Called back at its start and at its exit, with the status or the signal that ended it. */
  readonly onStart?: ((pid: number) => void) | undefined
  readonly onExit?: ((code: number | null, signal: NodeJS.Signals | null) => void) | undefined
}

export interface RunningChild {
  /** Its standard output and error, if they are pipes. */
  readonly outputs: ReadonlyArray<Readable | null>
  /** It, its group where that is not ours, and what it has started. */
  readonly processes: ProgramProcesses
  /** Calls back for each signal that it gets from us, or with us from the terminal. */
  readonly onSignal: (listener: (name: NodeJS.Signals) => void) => void
  /** Completes at the program's exit. Other processes may still hold its output. */
  readonly exited: Effect.Effect<void>
  /** Completes when we are signalled after that. */
  readonly stopRequested: Effect.Effect<void>
}

export interface ChildEnd<Watched> {
  /** 128 plus the signal number if a signal ended the program. */
  readonly status: number
  readonly signal: NodeJS.Signals | undefined
  /** The result of the monitor. */
  readonly watched: Watched | undefined
}

/** The variable by which a process of the program is found whose parent has ended. */
const markName = "AGENT_SECRETS_EXEC"

/** Of a program that succeeded, in place of 0. */
const outputLost = 1

/** Runs a program until its exit. */
export const runChild = <Watched = never>(
  options: ChildOptions<Watched>
): Effect.Effect<ChildEnd<Watched>, CommandError> =>
  Effect.gen(function* () {
    const exit = yield* Deferred.make<Omit<ChildEnd<Watched>, "watched">>()
    const stopRequested = yield* Deferred.make<void>()
    const started = yield* Deferred.make<void, unknown>()
    const onTerminal = hasControllingTerminal()
    // Before the handlers: until then, a signal interrupts us.
    const pipes = options.pipeOutput === undefined ? undefined : yield* makePipes
    const life: { processes?: ProgramProcesses; isOver: boolean } = { isOver: false }
    const listeners: Array<(name: NodeJS.Signals) => void> = []
    // Before the start: the program may be signalled before this fiber continues.
    forwardSignals(onTerminal, (name, isSent) => {
      for (const listener of listeners) listener(name)
      if (isSent) return
      if (life.isOver) Deferred.doneUnsafe(stopRequested, Effect.void)
      else life.processes?.signal(name)
    })
    const mark = `${process.pid}.${process.hrtime.bigint()}`
    const launched = launch({ ...options, env: { ...options.env, [markName]: mark } }, pipes, onTerminal)
    if ("failure" in launched) return yield* cannotStart(options, launched.failure)
    const { child, outputs } = launched
    // Without a number it has not started.
    const processes = new ProgramProcesses(child.pid, !onTerminal, () => life.isOver, `${markName}=${mark}`)
    life.processes = processes
    child.once("spawn", () => Deferred.doneUnsafe(started, Effect.void))
    child.once("error", (error) => Deferred.doneUnsafe(started, Effect.fail(error)))
    child.once("exit", (code, signal) => {
      life.isOver = true
      options.onExit?.(code, signal)
      const status = code ?? 128 + (signal === null ? 0 : constants.signals[signal])
      Deferred.doneUnsafe(exit, Effect.succeed({ status, signal: signal ?? undefined }))
    })

    yield* Deferred.await(started).pipe(Effect.catch((error) => cannotStart(options, error)))
    options.onStart?.(child.pid ?? 0)
    const running: RunningChild = {
      outputs,
      processes,
      onSignal: (listener) => void listeners.push(listener),
      exited: Effect.asVoid(Deferred.await(exit)),
      stopRequested: Deferred.await(stopRequested)
    }
    const [ended, isComplete, watched] = yield* Effect.all(
      [
        Deferred.await(exit),
        options.pipeOutput?.(running) ?? Effect.succeed(true),
        options.monitor?.(running) ?? Effect.undefined
      ],
      { concurrency: 3 }
    )
    return { ...ended, status: ended.status === 0 && !isComplete ? outputLost : ended.status, watched }
  })

const launch = (
  { args, command, descriptors = [], env, ignoredSignals = [], pipeOutput, withoutInput }: ChildOptions<unknown>,
  pipes: readonly [Pipe, Pipe] | undefined,
  onTerminal: boolean
) => {
  const [out, err] = pipes?.map(({ writer }) => writer) ?? []
  const input = withoutInput === true ? "ignore" : "inherit"
  const stdio: StdioOptions =
    pipeOutput === undefined ? [input, "inherit", "inherit"] : [input, out ?? "pipe", err ?? "pipe"]
  for (const fd of descriptors) stdio[fd] = fd
  try {
    const [file, ...words] = ignoring(ignoredSignals, [command, ...args])
    const child = spawn(file, words, { env, stdio: Array.from(stdio, (one) => one ?? "ignore"), detached: !onTerminal })
    restoreCoreFiles(child.pid)
    return { child, outputs: pipes?.map(({ reader }) => reader) ?? [child.stdout, child.stderr] }
  } catch (error) {
    // E2BIG, for instance. Node's own errors about a variable would quote its value.
    return { failure: error }
  } finally {
    for (const { writer } of pipes ?? []) fs.closeSync(writer)
  }
}

const cannotStart = Effect.fnUntraced(function* (options: ChildOptions<unknown>, error: unknown) {
  const { explainStart } = yield* Effect.promise(() => import("./explainStart.ts"))
  return yield* explainStart(options, reasonOf(error))
})

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
