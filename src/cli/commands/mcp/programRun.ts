/**
 * A program with secrets, started for a tool by `secrets exec --mask` as a child: all its rules
 * hold, and the values never come into this process. The child has no terminal, so nobody is asked there.
 *
 * The child ends its program also if this process is killed: it notices the end of the channel.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { spawn } from "node:child_process"
import type { Readable } from "node:stream"
import { literal, matchesShape } from "../../../domain/shape.ts"
import { type Problem, reasonOf } from "../../command/Output.ts"
import type { EndReport, ParentStart, RunReport } from "../project/parentChannel.ts"
import { CutOutput } from "./cutOutput.ts"
import { ownProgram } from "../../../process/ownProgram.ts"

export interface ProgramRequest {
  /** The client id of its leases: no other run has it. */
  readonly client: string
  /** The arguments of `secrets exec`, with the command line of the program. */
  readonly args: ReadonlyArray<string>
  readonly cwd: string
  readonly stdin: string | undefined
  /** Variables beside ours and the secrets. */
  readonly env: Readonly<Record<string, string>>
  /** In bytes, for each output. */
  readonly maxOutput: number
}

export interface ProgramEnd {
  /** Undefined if the program did not start, or its end is not known. */
  readonly report: EndReport | undefined
  /** What the daemon knows of it, and why it was stopped, if it was. */
  readonly run: Partial<RunReport>
  /** Why it did not start; undefined if it did, or was ended before. */
  readonly problem: Pick<Problem, "code" | "message" | "fix" | "exitStatus"> | undefined
  readonly stdout: CutOutput
  readonly stderr: CutOutput
}

export interface RunningProgram {
  readonly ended: Effect.Effect<ProgramEnd>
  /** Returns how many bytes it has written so far. */
  readonly written: () => number
  /** Ends the program: SIGTERM, after `grace` SIGKILL. Returns when it has ended. */
  readonly stop: (grace: Duration.Input) => Effect.Effect<void>
}

/** How long the child may take after the end of its program, to revoke the leases. */
const lastGrace = "2 seconds"

/** The programs that run now, by the client ids of their leases. */
export const runningPrograms: Map<string, RunningProgram> = new Map()

/** Variables with which Node prints what it does, the environment of a child included. */
const debugVariables = ["NODE_DEBUG", "NODE_DEBUG_NATIVE", "NODE_CHANNEL_FD"]

/** Between the end of input and SIGKILL for programs that ignore SIGTERM, and until the exit. The system needs some time too. */
const untilKill = "30 millis"
const untilExit = "30 millis"

/** Ends the programs, while the server answers what it can still answer. It does not wait for those that take longer. */
export const endPrograms = Effect.fnUntraced(function* (served: Effect.Effect<unknown>) {
  const stopping = [...runningPrograms.values()].map((program) => program.stop(untilKill))
  const all = yield* Effect.forkDetach(Effect.all([...stopping, served], { concurrency: "unbounded" }), {
    startImmediately: true
  })
  yield* Effect.raceFirst(Fiber.await(all), Effect.andThen(Effect.sleep(untilKill), Effect.sleep(untilExit)))
})

export const startProgram = (request: ProgramRequest): RunningProgram => {
  const [command, ...own] = ownProgram()
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !debugVariables.includes(name)))
  const child = spawn(command, [...own, "exec", ...options, "--client-id", request.client, ...request.args], {
    cwd: request.cwd,
    env,
    // A session of its own: without our terminal, and without the signals of its keys.
    detached: true,
    stdio: [request.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe", "ipc"]
  })
  const ended = Deferred.makeUnsafe<ProgramEnd>()
  const [stdout, stderr] = [new CutOutput(request.maxOutput), new CutOutput(request.maxOutput)]
  const life: { pid?: number; report?: EndReport; run: Partial<RunReport> } = { run: {} }
  const finish = (problem: ProgramEnd["problem"]) => {
    runningPrograms.delete(request.client)
    Deferred.doneUnsafe(ended, Effect.succeed({ report: life.report, run: life.run, problem, stdout, stderr }))
  }
  /** Without a terminal, it leads a group of its own. */
  const killProgram = () => {
    if (life.pid !== undefined && life.report === undefined) killGroup(life.pid)
  }
  collect(child.stdout, stdout)
  collect(child.stderr, stderr)
  child.on("message", (message: unknown) => {
    if (matchesShape(message, startExample)) life.pid = message.pid
    else if (isEndReport(message)) life.report = message
    else if (isRunReport(message)) life.run = message
  })
  child.once("error", (error) => finish({ code: "io_error", message: reasonOf(error), fix: "", exitStatus: 1 }))
  child.once("close", (_status, signal) => {
    // Nobody would end the program any more.
    if (signal !== null) killProgram()
    finish(life.pid === undefined ? problemIn(stdout.text()) : undefined)
  })
  // A program that does not read it is no failure.
  child.stdin?.on("error", () => {})
  child.stdin?.end(request.stdin)
  if (child.connected) child.send({ env: request.env } satisfies ParentStart, () => {})
  const program: RunningProgram = {
    ended: Deferred.await(ended),
    written: () => stdout.length + stderr.length,
    stop: (grace) =>
      Effect.gen(function* () {
        if (Deferred.isDoneUnsafe(ended)) return
        child.kill("SIGTERM")
        if (yield* within(Deferred.await(ended), grace)) return
        killProgram()
        // Once more: the child waits no longer for the output of what the program left running.
        child.kill("SIGTERM")
        if (!(yield* within(Deferred.await(ended), lastGrace))) child.kill("SIGKILL")
      }).pipe(Effect.uninterruptible)
  }
  runningPrograms.set(request.client, program)
  return program
}

/** With --json, a child whose program does not start prints why on standard output. */
const options = ["--mask", "--json", "--parent", "mcp"]

const killGroup = (pid: number): void => {
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // It has just ended.
  }
}

const within = (effect: Effect.Effect<unknown>, duration: Duration.Input): Effect.Effect<boolean> =>
  Effect.raceFirst(Effect.as(effect, true), Effect.as(Effect.sleep(duration), false))

const collect = (from: Readable | null, into: CutOutput): void => {
  from?.on("data", (bytes: Buffer) => into.push(bytes))
  from?.on("error", () => {})
}

const startExample = { kind: literal("started"), pid: 0 }

const isEndReport = (message: unknown): message is EndReport =>
  matchesShape(message, { kind: literal("ended"), masked: 0 })

const isRunReport = (message: unknown): message is RunReport =>
  matchesShape(message, { kind: literal("run"), masked: 0 })

const problemExample = { error: { message: "", code: "", exit_status: 0 }, fix: "" }

/** Returns the problem that a command printed with --json. */
export const problemIn = (text: string): ProgramEnd["problem"] => {
  try {
    const printed: unknown = JSON.parse(text)
    if (!matchesShape(printed, problemExample)) return undefined
    const { code, exit_status: exitStatus, message } = printed.error
    return { code, exitStatus, message, fix: printed.fix }
  } catch {
    return undefined
  }
}
