/**
 * Runs a program in our place: its terminal and standard input are ours, signals
 * that we get are its, and so is our exit status.
 *
 * On a terminal it stays in our process group, for there the kernel sends ^C, ^\ and
 * ^Z to both of us, and sending them on would do so twice. Without one it leads a
 * group of its own, and what we get goes to all of that. It is never killed by us,
 * and SIGKILL cannot be passed on.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { ChildProcess, StdioOptions } from "node:child_process"
import { spawn } from "node:child_process"
import { closeSync } from "node:fs"
import { constants } from "node:os"
import { isatty } from "node:tty"
import type { Readable } from "node:stream"
import { CommandError } from "../../command/CommandError.ts"
import { printable } from "../../terminal/table.ts"
import { reasonOf } from "../../command/Output.ts"
import { makePipes } from "./pipes.ts"

export interface ChildOptions {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string | undefined>>
  /** What passes on the program's standard output and error; they are ours if this is missing. */
  readonly pump?: ((running: RunningChild) => Effect.Effect<void>) | undefined
  /** Runs beside the program, and may signal it. */
  readonly beside?: ((running: RunningChild) => Effect.Effect<void>) | undefined
}

export interface RunningChild {
  /** Its standard output and error, where they are passed on. */
  readonly outputs: ReadonlyArray<Readable | null>
  readonly signal: (name: NodeJS.Signals) => void
  /** When the program has ended. Others that it started may still hold its output. */
  readonly ended: Effect.Effect<void>
  /** When we were told to stop after that. */
  readonly hurried: Effect.Effect<void>
}

/** As shells have them: not found, and found but not to be run. */
const notFound = 127
const notExecutable = 126

/** What is passed on where there is no terminal, beside SIGTSTP. */
const passedOn = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGWINCH"] as const
/** What a terminal does not send to both of us, and what it sends and is not to end us. */
const passedOnOnTerminal: ReadonlySet<string> = new Set(["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])
const fromTerminal: ReadonlySet<string> = new Set(["SIGINT", "SIGQUIT"])

/** Gives the exit status: 128 and its number where a signal ended the program. Not to be interrupted: the program decides. */
export const runChild = (run: ChildOptions): Effect.Effect<number, CommandError> =>
  Effect.gen(function* () {
    const status = yield* Deferred.make<number, CommandError>()
    const hurried = yield* Deferred.make<void>()
    const started = yield* Deferred.make<ChildProcess, CommandError>()
    const onTerminal = [0, 1, 2].some((fd) => isatty(fd))
    const life: { child?: ChildProcess; isOver: boolean } = { isOver: false }
    const signal = (name: NodeJS.Signals) => {
      if (life.isOver) Deferred.doneUnsafe(hurried, Effect.void)
      else if (life.child !== undefined) send(life.child, onTerminal, name)
    }
    // Before there is anybody to pass them on to: the program may be signalled before this goes on.
    listen(onTerminal, signal)
    const launched = launch(run, onTerminal)
    if ("_tag" in launched) return yield* launched
    const { child, outputs } = launched
    life.child = child
    child.once("spawn", () => Deferred.doneUnsafe(started, Effect.succeed(child)))
    child.once("error", (error) => Deferred.doneUnsafe(started, Effect.fail(cannotStart(run.command, error))))
    child.once("exit", (code, signal) => {
      life.isOver = true
      Deferred.doneUnsafe(status, Effect.succeed(code ?? statusOf(signal)))
    })

    yield* Deferred.await(started)
    const running: RunningChild = {
      outputs,
      signal,
      ended: Effect.asVoid(Effect.ignore(Deferred.await(status))),
      hurried: Deferred.await(hurried)
    }
    const whole = Effect.all([Deferred.await(status), run.pump?.(running) ?? Effect.void], { concurrency: 2 })
    const [code] = yield* run.beside === undefined
      ? whole
      : Effect.raceFirst(whole, Effect.andThen(run.beside(running), Effect.never))
    return code
  })

interface Launched {
  readonly child: ChildProcess
  readonly outputs: RunningChild["outputs"]
}

const launch = ({ args, command, env, pump }: ChildOptions, onTerminal: boolean): Launched | CommandError => {
  const pipes = pump === undefined ? undefined : makePipes()
  const [out, err] = pipes?.map(({ writer }) => writer) ?? []
  const piped = ["inherit", out ?? "pipe", err ?? "pipe"] satisfies StdioOptions
  try {
    const child = spawn(command, args, { env, stdio: pump === undefined ? "inherit" : piped, detached: !onTerminal })
    return { child, outputs: pipes?.map(({ reader }) => reader) ?? [child.stdout, child.stderr] }
  } catch (error) {
    // E2BIG, for one. What Node throws about a variable would quote it.
    return cannotStart(command, error)
  } finally {
    for (const { writer } of pipes ?? []) closeSync(writer)
  }
}

/** Takes all signals from whoever had them, for the rest of our life: they are the program's now. */
const listen = (onTerminal: boolean, signal: (name: NodeJS.Signals) => void): void => {
  for (const name of passedOn) {
    if (onTerminal && !passedOnOnTerminal.has(name) && !fromTerminal.has(name)) continue
    process.removeAllListeners(name)
    process.on(name, () => {
      if (!onTerminal || passedOnOnTerminal.has(name)) signal(name)
    })
  }
  process.removeAllListeners("SIGTSTP")
  if (onTerminal) return
  // The default of SIGTSTP does nothing in a group without a terminal, so it is SIGSTOP that goes on.
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
    // It has just ended.
  }
}

const statusOf = (signal: NodeJS.Signals | null): number => 128 + (signal === null ? 0 : constants.signals[signal])

const cannotStart = (command: string, error: unknown): CommandError => {
  const reason = reasonOf(error)
  const missing = reason === "ENOENT"
  return new CommandError({
    message: `cannot run ${printable(command)}: ${missing ? "there is no such program" : reason}`,
    code: "io_error",
    fix: missing
      ? "A program is looked for along PATH; shell syntax needs a shell: secrets exec -- sh -c '…'"
      : reason === "E2BIG"
        ? "Arguments and variables together are too long for this system"
        : "See whether it may be executed: ls -l",
    exitStatus: missing ? notFound : notExecutable
  })
}
