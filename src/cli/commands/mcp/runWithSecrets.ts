/**
 * run_with_secrets: runs a program with secrets in its environment, and returns its output with
 * the values masked. A status other than 0 is a success of the tool, so that the client sees the output.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as path from "node:path"
import { variableFor, variablePattern, variableProblem } from "../../../domain/envFile.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { globMatcher } from "../../../domain/glob.ts"
import { millisecond } from "../../../domain/GoDuration.ts"
import { programPath } from "../../../process/programPath.ts"
import { type ProgramEnd, type RunningProgram, startProgram } from "./programRun.ts"
import { directoryInside, type McpSession, permitsName } from "./session.ts"
import { failureOf, toolFailure } from "./toolFailure.ts"
import { defineTool, type ToolCall } from "./Tool.ts"

const input = Schema.Struct({
  command: Schema.Array(Schema.String)
    .check(Schema.isMinLength(1))
    .annotate({ description: "program and arguments; no shell" }),
  secrets: Schema.optionalKey(
    Schema.Array(
      Schema.Struct({
        name: Schema.String,
        env: Schema.optionalKey(Schema.String.check(Schema.isPattern(variablePattern)))
      })
    )
      .check(Schema.isMinLength(1))
      .annotate({ description: "which, and in which variable; left out: what .secrets.json names" })
  ),
  cwd: Schema.optionalKey(Schema.String.annotate({ description: "inside the project" })),
  stdin: Schema.optionalKey(Schema.String.annotate({ description: "what the program reads" })),
  env: Schema.optionalKey(
    Schema.Record(Schema.String, Schema.String).annotate({ description: "further variables, nothing secret" })
  ),
  timeout_seconds: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 600 }))),
  reason: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200)))
})
type RunInput = typeof input.Type

const output = Schema.Struct({
  status: Schema.Literals(["exited", "signalled", "timed_out", "stopped"]),
  exit_code: Schema.optionalKey(Schema.NullOr(Schema.Int)),
  signal: Schema.optionalKey(Schema.NullOr(Schema.String)),
  stdout: Schema.String,
  stderr: Schema.String,
  left_out: Schema.optionalKey(Schema.Int.annotate({ description: "bytes of the output that are left out" })),
  duration_ms: Schema.optionalKey(Schema.Int),
  masked: Schema.optionalKey(Schema.Int.annotate({ description: "how often a value was replaced by ***" })),
  run_id: Schema.optionalKey(Schema.String)
})

export const runWithSecretsTool = defineTool({
  name: "run_with_secrets",
  title: "Run a program with secrets",
  description:
    "Runs a program with secrets in its environment and returns its output, in which values are replaced by ***. " +
    "Let the program or an inner shell expand the variable: sh -c 'curl --header \"X-Key: $API_KEY\" …'. " +
    "Your own shell never gets the value.",
  hints: { readOnly: false, destructive: true, idempotent: false, openWorld: true },
  input,
  output,
  run: Effect.fnUntraced(function* (given, call) {
    const { allowance, clientId, session } = call
    const cwd = yield* directoryInside(session, given.cwd ?? ".")
    const [command = "", ...words] = given.command
    if (command === "" || given.command.some((word) => word.includes("\0"))) {
      return yield* toolFailure("invalid_arguments", "the command is empty or holds a NUL byte")
    }
    const program = yield* allowedProgram(allowance.commands, command, cwd)
    const secrets = yield* requested(given, session)
    const env = yield* furtherVariables(given.env ?? {}, secrets?.map(({ variable }) => variable) ?? [])
    const begun = yield* Clock.currentTimeMillis
    const limit = limitOf(given, session)
    const client = `${clientId}/${escapeValue(path.basename(program))}[${process.pid}.${session.nextRun()}]`
    const args = [
      ...["socket", "config"].flatMap((name) => fileFlag(session, name)),
      `--approval-wait=${Math.floor(Math.min(maxApprovalWait, Math.max(0, limit - maxGrace)) / 1000)}s`,
      `--ttl=${Math.ceil((limit + ttlMargin) / 1000)}s`,
      ...(secrets ?? []).flatMap(({ name, variable }) => ["--secret", `${name}=${variable}`]),
      ...(given.reason === undefined ? [] : [`--reason=${given.reason}`]),
      "--",
      command,
      ...words
    ]
    const request = { client, args, cwd, stdin: given.stdin, env, maxOutput: session.settings.max_output }
    yield* Effect.timeoutOrElse(Semaphore.take(atOnce, 1), {
      duration: limit * (1 - graceShare),
      orElse: () => Effect.fail(toolFailure("failed", "too many programs run at the same time", "Try again later"))
    })
    return yield* Effect.ensuring(runUntil(request, begun + limit, call), Semaphore.release(atOnce, 1))
  })
})

/** How many programs run at the same time; more calls wait. */
const atOnce = Semaphore.makeUnsafe(16)

/** The part of the time that is left to a program between SIGTERM and the answer, and its longest. */
const graceShare = 0.1
const maxGrace = 5000
/** Of that, the part before SIGKILL. */
const untilKill = 0.8

const progressInterval = "5 seconds"

const runUntil = (
  request: Parameters<typeof startProgram>[0],
  /** When the answer is due. */
  due: number,
  { progress }: ToolCall
) =>
  Effect.acquireUseRelease(
    Effect.try({
      try: () => startProgram(request),
      catch: () => toolFailure("invalid_arguments", "the command or a variable is too long for the system")
    }),
    Effect.fnUntraced(function* (running) {
      const begun = yield* Clock.currentTimeMillis
      const grace = Math.min(maxGrace, (due - begun) * graceShare)
      const reporting = yield* Effect.forkChild(
        progress === undefined ? Effect.never : reportProgress(running, progress)
      )
      const inTime = Effect.as(running.ended, true)
      const isOver = yield* Effect.raceFirst(inTime, Effect.as(Effect.sleep(due - begun - grace), false))
      if (!isOver) yield* running.stop(grace * untilKill)
      const end = yield* running.ended
      // A report that comes after the answer would be an error for the client.
      yield* Fiber.interrupt(reporting)
      return yield* resultOf(end, isOver, (yield* Clock.currentTimeMillis) - begun)
    }),
    (running) => running.stop(maxGrace)
  )

const reportProgress = (running: RunningProgram, progress: NonNullable<ToolCall["progress"]>) =>
  Effect.gen(function* () {
    const begun = yield* Clock.currentTimeMillis
    while (true) {
      yield* Effect.sleep(progressInterval)
      const seconds = Math.round(((yield* Clock.currentTimeMillis) - begun) / 1000)
      yield* Effect.uninterruptible(progress(seconds, `running, ${running.written()} bytes`))
    }
  })

const resultOf = Effect.fnUntraced(function* (
  { problem, report, run, stderr, stdout }: ProgramEnd,
  isOver: boolean,
  millis: number
) {
  if (problem !== undefined) return yield* notStarted(problem)
  const outputs = {
    stdout: stdout.text(),
    stderr: stderr.text(),
    duration_ms: Math.round(millis),
    ...(stdout.leftOut + stderr.leftOut > 0 && { left_out: stdout.leftOut + stderr.leftOut })
  }
  // The child was ended before its program began.
  if (report === undefined) return { status: isOver ? ("stopped" as const) : ("timed_out" as const), ...outputs }
  const { code, masked, signal } = report
  const ended = signal === null ? ("exited" as const) : ("signalled" as const)
  const status = !isOver ? ("timed_out" as const) : run.because === undefined ? ended : ("stopped" as const)
  return {
    status,
    exit_code: code,
    signal,
    ...outputs,
    // The end is reported at the exit, before the last output is masked.
    masked: run.masked ?? masked,
    ...(run.runId !== undefined && { run_id: run.runId })
  }
})

/** The statuses of a program that cannot be started. */
const startFailures: ReadonlyArray<number> = [126, 127]

const notStarted = (problem: NonNullable<ProgramEnd["problem"]>) =>
  startFailures.includes(problem.exitStatus)
    ? toolFailure("no_such_program", "the program cannot be run", problem.fix)
    : failureOf(problem)

/** Returns the path of the program, or fails if the settings do not permit it. */
const allowedProgram = Effect.fnUntraced(function* (globs: ReadonlyArray<string>, command: string, cwd: string) {
  // As the system looks it up, in the working directory of the program.
  const searchPath = (process.env["PATH"] ?? "").split(":").map((entry) => path.resolve(cwd, entry))
  const program = command.includes("/") ? path.resolve(cwd, command) : programPath(command, searchPath.join(":"))
  const isAllowed = globs.some((glob) => globMatcher(glob)(glob.includes("/") ? program : path.basename(program)))
  return isAllowed
    ? program
    : yield* toolFailure(
        "command_not_allowed",
        "this program may not be started",
        globs.length === 0 ? "No program may be started" : `Use one of: ${globs.join(", ")}`
      )
})

/** Returns the secrets and their variables; undefined for those of the project file. */
const requested = Effect.fnUntraced(function* ({ secrets }: RunInput, session: McpSession) {
  if (secrets === undefined) {
    return session.secrets.length === 0
      ? undefined
      : yield* toolFailure("invalid_arguments", "this server is limited to some secrets, so they have to be named")
  }
  const named = secrets.map(({ env, name }) => ({ name, variable: env ?? variableFor(name) }))
  if (named.some(({ name }) => name === "" || !permitsName(session, name))) {
    return yield* toolFailure("no_such_secret", "no such secret")
  }
  const wrong = named.map(({ variable }) => variableProblem(variable)).find((problem) => problem !== undefined)
  if (wrong !== undefined) return yield* toolFailure("bad_variable", `the variable of a secret ${wrong}`)
  if (new Set(named.map(({ variable }) => variable)).size < named.length) {
    return yield* toolFailure("bad_variable", "two secrets have the same variable", "Name a variable for each: env")
  }
  return named
})

/** Returns the variables beside the secrets, and some that keep programs from asking or colouring. */
const furtherVariables = Effect.fnUntraced(function* (
  given: Readonly<Record<string, string>>,
  taken: ReadonlyArray<string>
) {
  for (const [name, value] of Object.entries(given)) {
    const problem = taken.includes(name) ? "is that of a secret" : variableProblem(name)
    if (problem !== undefined) return yield* toolFailure("bad_variable", `a variable of env ${problem}`)
    if (value.includes("\0")) return yield* toolFailure("bad_variable", "the value of a variable holds a NUL byte")
  }
  const defaults = Object.entries({ TERM: "dumb", NO_COLOR: "1", CI: "1" })
  return { ...Object.fromEntries(defaults.filter(([name]) => process.env[name] === undefined)), ...given }
})

/** Returns the time until the answer, in milliseconds. */
const limitOf = ({ timeout_seconds }: RunInput, { settings }: McpSession): number => {
  const [byDefault, most] = [settings.timeout, settings.max_timeout].map((one) => Number(one / millisecond))
  return Math.min(timeout_seconds === undefined ? (byDefault ?? 0) : timeout_seconds * 1000, most ?? 0)
}

/** How long a call waits for a person, in milliseconds. */
const maxApprovalWait = 45_000

/** How much longer than the program the leases last, in milliseconds. They are revoked at its end. */
const ttlMargin = 60_000

const fileFlag = ({ args }: McpSession, name: string): ReadonlyArray<string> => {
  const file = args.option(name === "socket" ? "socket" : "config")
  return file === undefined ? [] : [`--${name}`, path.resolve(file)]
}
