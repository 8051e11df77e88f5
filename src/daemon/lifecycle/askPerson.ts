/**
 * Notifies a person of new requests, by programs of config.json: one that asks, with the contract
 * of ssh-askpass, and one that only notifies.
 *
 * One question is asked at a time; the others wait. A program that hangs, crashes, cannot show a
 * window or says anything unknown is no answer: the request stays open. No value is in a text.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { childEnvironment } from "../../domain/childEnvironment.ts"
import type { Config } from "../../domain/Config.ts"
import { toMillis } from "../../domain/GoDuration.ts"
import { type Answer, type OpenRequest, spanOf } from "../../domain/OpenRequest.ts"
import { noticeOfMore, noticeText, questionText } from "../../domain/requestText.ts"
import { type Environment, runTool, spawnTool } from "../../process/runTool.ts"
import { answerRequest } from "../operations/requests.ts"
import { OpenRequests } from "../operations/RequestTable.ts"

/** What a program needs to reach the desktop of its user. */
const desktop: ReadonlySet<string> = new Set(
  "DISPLAY WAYLAND_DISPLAY XAUTHORITY DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR".split(" ")
)

/** Asks and notifies forever. */
export const askPerson = (settings: Config["approval"], environment: Environment) => {
  const env = childEnvironment(environment, (name) => desktop.has(name))
  const { command, notify } = settings
  return Effect.all(
    [
      command === undefined ? Effect.never : askForever(command, Duration.millis(toMillis(settings.timeout)), env),
      notify === undefined ? Effect.never : notifyForever(notify, env)
    ],
    { concurrency: "unbounded", discard: true }
  )
}

/** Returns a queue of the requests that are opened from here on; there are no more than may be open. */
const openedRequests = Effect.gen(function* () {
  const table = yield* OpenRequests
  const opened = yield* Queue.unbounded<OpenRequest>()
  yield* Effect.acquireRelease(
    Effect.sync(() => table.onOpened((request) => void Queue.offerUnsafe(opened, request))),
    (stop) => Effect.sync(stop)
  )
  return opened
})

const askForever = Effect.fnUntraced(function* (
  command: ReadonlyArray<string>,
  timeout: Duration.Duration,
  env: Environment
) {
  const table = yield* OpenRequests
  const opened = yield* openedRequests
  while (true) {
    const request = yield* Queue.take(opened)
    if (request.kind !== "approval" || table.find(request.id)?.state !== "pending") continue
    const answer = yield* ask(command, request, timeout, env)
    if (answer !== undefined) {
      yield* answerRequest(request.id, answer, "approval.command").pipe(
        Effect.catch(({ message }) => Effect.logWarning(`approval.command: an answer does not count: ${message}`))
      )
    }
  }
}, Effect.scoped)

/** How much of what the program says is looked at. */
const maxNoise = 64 * 1024
/** How long that may take to arrive after its end. */
const noiseGrace = Duration.millis(200)

/** Runs the program; returns undefined for no answer. It ends when the request is answered otherwise. */
const ask = Effect.fnUntraced(function* (
  [program = "", ...args]: ReadonlyArray<string>,
  request: OpenRequest,
  timeout: Duration.Duration,
  env: Environment
) {
  const table = yield* OpenRequests
  const words = [program, ...args, questionText(request)] as const
  const asking = { ...env, SSH_ASKPASS_PROMPT: "confirm", AGENT_SECRETS_REQUEST: request.id }
  const run = Effect.gen(function* () {
    const tool = yield* spawnTool(words, { env: asking, timeout }, { stdout: "ignore" })
    let noise = ""
    // What is beyond is not read, so a program that floods stops there.
    const listen = tool.stderr.pipe(
      Stream.decodeText,
      Stream.runForEachWhile((text) => Effect.sync(() => (noise += text).length < maxNoise))
    )
    const listening = yield* Effect.forkScoped(listen)
    const status = yield* tool.exitCode
    if (refusals.has(status)) yield* Effect.timeoutOption(Fiber.await(listening), noiseGrace)
    return answerOf(status, noise, request)
  })
  return yield* run.pipe(
    Effect.scoped,
    Effect.timeoutOption(timeout),
    Effect.map(Option.getOrUndefined),
    Effect.raceFirst(Effect.as(table.ended(request.id), undefined)),
    Effect.catch(({ reason }) =>
      Effect.as(
        Effect.logWarning(`approval.command: ${program} gave no answer to request ${request.id} (${reason._tag})`),
        undefined
      )
    )
  )
})

/** The statuses of a no; gnome-ssh-askpass exits with -1. */
const refusals: ReadonlySet<number> = new Set([1, 255])

/** An askpass program without a desktop exits like one whose user said no. */
const noDesktop = /display|unable to init server/i

/** Returns the answer of an exit status: yes to one lease, yes for the time of the rule, or no. */
const answerOf = (status: number, noise: string, request: OpenRequest): Answer | undefined => {
  if (status === 0) return { _tag: "Approve", span: "once" }
  if (status === 3) return { _tag: "Approve", span: spanOf(request.approval) }
  return refusals.has(status) && !noDesktop.test(noise) ? { _tag: "Deny", why: "" } : undefined
}

/** How many notifications there are in a window. */
const maxNotices = 6
const window = 60_000
const noticeTimeout = Duration.seconds(10)

const notifyForever = Effect.fnUntraced(function* (command: ReadonlyArray<string>, env: Environment) {
  const table = yield* OpenRequests
  const opened = yield* openedRequests
  let sent: ReadonlyArray<number> = []
  while (true) {
    const first = yield* Queue.take(opened)
    const now = yield* monotonicMillis
    sent = sent.filter((at) => at > now - window)
    const isFull = sent.length >= maxNotices
    if (isFull) yield* Effect.sleep((sent[0] ?? now) + window - now)
    const more = isFull ? yield* Queue.clear(opened) : []
    const open = [first, ...more].filter(({ id }) => table.find(id)?.state === "pending")
    const [only] = open
    if (only === undefined) continue
    sent = [...sent, yield* monotonicMillis].slice(-maxNotices)
    yield* show(command, open.length === 1 ? noticeText(only) : noticeOfMore(open.length), env)
  }
}, Effect.scoped)

const show = (command: ReadonlyArray<string>, text: string, env: Environment) => {
  const [program = "", ...args] = noticeCommand(command, text)
  return runTool([program, ...args], { env, timeout: noticeTimeout, maxOutput: 0 }).pipe(
    Effect.catch(({ reason }) => Effect.logWarning(`approval.notify: ${program}: ${reason}`)),
    Effect.asVoid
  )
}

/** Returns the command line of a notification; two programs are known by their names. */
const noticeCommand = (command: ReadonlyArray<string>, text: string): ReadonlyArray<string> => {
  if (command.length === 1 && command[0] === "osascript") {
    // As an argument: a text in the script could be more of a script.
    const script = ["on run argv", 'display notification (item 1 of argv) with title "agent-secrets"', "end run"]
    return ["osascript", ...script.flatMap((line) => ["-e", line]), text]
  }
  if (command.length === 1 && command[0] === "notify-send") {
    // The text may hold markup.
    return ["notify-send", "--", "agent-secrets", text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")]
  }
  return [...command, text]
}

const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos / 1_000_000n))
