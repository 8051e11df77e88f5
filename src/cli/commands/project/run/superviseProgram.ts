/**
 * Supervises a program that has secrets: takes one input after the other, and does what `react`
 * returns, until the program is over.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type { ProgramProcesses } from "../../../../process/ProgramProcesses.ts"
import {
  type Action,
  ending,
  type Input,
  type News,
  type ProgramOutcome,
  react,
  type Report,
  restartWindow,
  running,
  type State,
  type Step
} from "./programStates.ts"
import type { Rules } from "./reactions.ts"

export interface Program {
  readonly exited: Effect.Effect<void>
  readonly processes: Pick<ProgramProcesses, "signal" | "stop" | "isLeft">
  /** Calls back for each signal that it gets from outside. */
  readonly onSignal: (listener: (name: NodeJS.Signals) => void) => void
}

export interface World<Leased> {
  readonly rules: Rules
  /** The inputs of this program and of the one before it. */
  readonly inputs: Queue.Queue<Input<Leased>>
  /** Leases all secrets again; a failure is the reason in words. */
  readonly leaseAgain: Effect.Effect<Leased, string>
  /** Returns whether the command succeeded. */
  readonly runCommand: (command: string, news: News) => Effect.Effect<boolean>
  readonly report: (report: Report, isOver: boolean) => Effect.Effect<void>
  /** Reports that a program is stopped when it is gone: it may use the whole screen of the terminal. */
  readonly reportsAtEnd: boolean
  /** When programs were restarted, in milliseconds since the epoch. */
  readonly restarts: Array<number>
}

/** How often it is looked whether something is left after the exit of the program. */
const restPoll = "20 millis"

/** Supervises one program until it is over. What is news for the next one stays among the inputs. */
export const supervise = Effect.fnUntraced(function* <Leased>(
  program: Program,
  world: World<Leased>
): Effect.fn.Return<ProgramOutcome<Leased>, never, Scope.Scope> {
  const { inputs, rules } = world
  const perform = yield* performer(program, world)
  program.onSignal((signal) => void Queue.offerUnsafe(inputs, { kind: "signalled", signal }))
  yield* Effect.forkScoped(Effect.andThen(program.exited, Queue.offer(inputs, { kind: "exited" })))
  let state: State<Leased> = running
  const late: Array<Report> = []
  while (state.phase !== "over") {
    const input = yield* Queue.take(inputs)
    const [next, ...actions]: Step<Leased> = react<Leased>(state, input, rules)
    for (const action of actions) {
      const isLate = world.reportsAtEnd && next.phase === "stopping" && action.do === "report"
      if (isLate) late.push(action.report)
      else yield* perform(action, next.phase)
    }
    state = next
  }
  for (const one of late) yield* world.report(one, true)
  return yield* handOver(state.outcome, world)
})

/** Prepares the inputs for the next program, if there is one. */
const handOver = Effect.fnUntraced(function* <Leased>(
  outcome: ProgramOutcome<Leased>,
  { inputs, restarts }: World<Leased>
) {
  const left = yield* Queue.clear(inputs)
  const isLeaving = left.some((input) => input.kind === "signalled" && ending.has(input.signal))
  if (outcome.again === undefined || isLeaving) return { ...outcome, again: undefined }
  restarts.push(yield* Clock.currentTimeMillis)
  const news = left.flatMap((input) => (input.kind === "news" ? [input] : []))
  const later = outcome.later === undefined ? [] : [{ kind: "news", news: outcome.later } as const]
  yield* Queue.offerAll(inputs, [...news, ...later])
  return outcome
})

/** Returns a function that does what `react` returns. */
const performer = Effect.fnUntraced(function* <Leased>(program: Program, world: World<Leased>) {
  const { inputs } = world
  const timer = yield* FiberHandle.make()
  const due = Effect.fnUntraced(function* (millis: number, splay: number, phase: State<Leased>["phase"]) {
    if (millis === Infinity) return
    yield* Effect.sleep(millis + Math.round((yield* Random.next) * splay))
    const from = (yield* Clock.currentTimeMillis) - restartWindow
    const restarts = world.restarts.filter((at) => at > from).length
    yield* Queue.offer(inputs, { kind: "due", phase, restarts })
  })
  const restGone = Effect.gen(function* () {
    while (program.processes.isLeft()) yield* Effect.sleep(restPoll)
    yield* Queue.offer(inputs, { kind: "gone" })
  })
  const leasing = Effect.matchEffect(world.leaseAgain, {
    onSuccess: (leased) => Queue.offer(inputs, { kind: "leased", leased }),
    onFailure: (reason) => Queue.offer(inputs, { kind: "not leased", reason })
  })
  return (action: Action, phase: State<Leased>["phase"]): Effect.Effect<unknown, never, Scope.Scope> => {
    switch (action.do) {
      case "signal":
        return Effect.sync(() => program.processes.signal(action.signal))
      case "stop":
        return Effect.sync(() => program.processes.stop(action.signal))
      case "set time":
        return FiberHandle.run(timer, due(action.millis, action.splay ?? 0, phase))
      case "lease":
        return Effect.forkScoped(leasing)
      case "await the rest":
        return Effect.forkScoped(restGone)
      case "run command":
        return world.runCommand(action.command, action.news).pipe(
          Effect.flatMap((succeeded) =>
            succeeded ? Effect.void : Queue.offer(inputs, { kind: "command failed", news: action.news })
          ),
          Effect.forkScoped
        )
      case "report":
        return world.report(action.report, false)
    }
  }
})
