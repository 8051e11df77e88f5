/**
 * The state machine of a program that has secrets: what is done with it when one of them is revoked,
 * changes or expires, and in which order.
 *
 *     running ── change ──▶ waiting ── time ──▶ leasing ── leased ──▶ stopping ── gone ──▶ over, start again
 *        └─────────────────────┴── revoke ────────┴───────────────────▶ stopping ── gone ──▶ over
 *
 * `react` is pure. `supervise` feeds it with one input after the other and does what it returns.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type { Reaction, Rules } from "./reactions.ts"

/** What happened to a secret of the program, or to the daemon. */
export interface News {
  readonly because: "revoked" | "killswitch" | "deleted" | "locked" | "changed" | "expired" | "daemon lost"
  /** Undefined if it is about all of them. */
  readonly secretName?: string | undefined
}

export type Input<Leased> =
  | { readonly kind: "news"; readonly news: News }
  /** We got a signal, and so did the program. */
  | { readonly kind: "signalled"; readonly signal: NodeJS.Signals }
  /** The time that was set in this phase is over. */
  | { readonly kind: "due"; readonly phase: State<Leased>["phase"]; readonly restarts: number }
  | { readonly kind: "leased"; readonly leased: Leased }
  | { readonly kind: "not leased"; readonly reason: string }
  | { readonly kind: "command failed"; readonly news: News }
  | { readonly kind: "exited" }
  /** And so has everything in its process group. */
  | { readonly kind: "gone" }

export type State<Leased> =
  /** `isLeaving`: it was sent SIGTERM from outside, so it is not started again. */
  | { readonly phase: "running"; readonly isLeaving: boolean }
  /** Further changes count as this one. */
  | { readonly phase: "waiting"; readonly news: News }
  | { readonly phase: "leasing"; readonly news: News; readonly later?: News }
  | {
      readonly phase: "stopping"
      readonly news: News
      readonly signal: NodeJS.Signals
      /** What it is started again with. */
      readonly again?: Leased | undefined
      /** A change since those were leased. */
      readonly later?: News | undefined
      readonly hasGivenUp?: boolean
    }
  | { readonly phase: "over"; readonly outcome: ProgramOutcome<Leased> }

export interface ProgramOutcome<Leased> {
  /** Why it was stopped; undefined if it ended by itself. */
  readonly because?: News["because"]
  readonly again?: Leased | undefined
  readonly later?: News | undefined
  /** It was restarted too often. */
  readonly hasGivenUp?: boolean
}

/** What a person is told. */
export interface Report {
  readonly news: News
  readonly done: "stop" | "restart" | "signal" | "command" | "command failed" | "keep" | "give up"
  readonly signal?: NodeJS.Signals
  /** Why there is no restart. */
  readonly reason?: string
}

export type Action =
  | { readonly do: "signal"; readonly signal: NodeJS.Signals }
  /** Replaces the time that was set before. `splay` is the longest random addition. */
  | { readonly do: "set time"; readonly millis: number; readonly splay?: number }
  | { readonly do: "lease" | "await group" }
  | { readonly do: "run command"; readonly command: string; readonly news: News }
  | { readonly do: "report"; readonly report: Report }

type Step<Leased> = readonly [State<Leased>, ...ReadonlyArray<Action>]

/** Changes within this time are one. */
const gatherMillis = 1000

/** More restarts within a minute do not help. */
const maxRestarts = 5
export const restartWindow = 60_000

/** Signals that end most programs. */
const ending: ReadonlySet<NodeJS.Signals> = new Set(["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"])

const running = { phase: "running", isLeaving: false } as const

const reactionTo = (rules: Rules, { because }: News): Reaction =>
  because === "changed" ? rules.onChange : because === "expired" ? rules.onExpiry : rules.onRevoke

/** Returns the next state, and what is to be done. */
export const react = <Leased>(state: State<Leased>, input: Input<Leased>, rules: Rules): Step<Leased> => {
  switch (input.kind) {
    case "news":
      return onNews(state, input.news, rules)
    case "signalled":
      return onSignal(state, input.signal)
    case "due":
      return input.phase === state.phase ? onTime(state, input.restarts, rules) : [state]
    case "leased":
      return state.phase === "leasing" ? stop(state, state.news, rules.killSignal, rules, input.leased) : [state]
    case "not leased":
      return state.phase === "leasing" ? onRefusal(state, input.reason, rules) : [state]
    case "command failed":
      return state.phase === "stopping" ? [state] : stop(state, input.news, rules.killSignal, rules, undefined, true)
    case "exited":
      return state.phase === "stopping" ? [state, { do: "await group" }] : [{ phase: "over", outcome: {} }]
    case "gone":
      return state.phase === "stopping" ? [{ phase: "over", outcome: outcomeOf(state) }] : [state]
  }
}

const onNews = <Leased>(state: State<Leased>, news: News, rules: Rules): Step<Leased> => {
  const reaction = reactionTo(rules, news)
  switch (reaction.kind) {
    case "ignore":
    case "renew":
      return [state]
    case "stop":
      return stop(state, news, reaction.signal, rules)
    case "restart":
      return gather(state, news, rules.splay)
    case "signal":
      if (news.because === "changed") return gather(state, news, 0)
      return state.phase === "stopping" ? [state] : [state, ...signalled(news, reaction.signal)]
    case "command": {
      const run = { do: "run command", command: reaction.command, news } as const
      return state.phase === "stopping" ? [state] : [state, run, report({ news, done: "command" })]
    }
  }
}

const signalled = (news: News, signal: NodeJS.Signals): ReadonlyArray<Action> => [
  { do: "signal", signal },
  report({ news, done: "signal", signal })
]

const report = (told: Report): Action => ({ do: "report", report: told })

/** Waits for further changes, and for the splay. */
const gather = <Leased>(state: State<Leased>, news: News, splay: number): Step<Leased> => {
  switch (state.phase) {
    case "running":
      return state.isLeaving
        ? [state]
        : [
            { phase: "waiting", news },
            { do: "set time", millis: gatherMillis, splay }
          ]
    case "leasing":
      return [{ ...state, later: news }]
    case "stopping":
      return [state.again === undefined ? state : { ...state, later: news }]
    case "waiting":
    case "over":
      return [state]
  }
}

/** Stops the program, to start it again with `again` if there is that. */
const stop = <Leased>(
  state: State<Leased>,
  news: News,
  signal: NodeJS.Signals,
  rules: Rules,
  again?: Leased,
  commandFailed = false
): Step<Leased> => {
  if (state.phase === "over") return [state]
  const done = commandFailed ? "command failed" : again === undefined ? "stop" : "restart"
  if (state.phase === "stopping") {
    const isHarder = signal === "SIGKILL" && state.signal !== signal
    const wasRestart = state.again !== undefined
    const kept = wasRestart ? { ...state, news, again: undefined, later: undefined } : state
    return [
      isHarder ? { ...kept, signal } : kept,
      ...(isHarder ? [{ do: "signal", signal } as const] : []),
      ...(wasRestart ? [report({ news, done, signal })] : [])
    ]
  }
  const later = state.phase === "leasing" ? state.later : undefined
  const isHard = signal === "SIGKILL" || rules.killTimeout === 0
  const sent = isHard ? "SIGKILL" : signal
  return [
    { phase: "stopping", news, signal: sent, again, later },
    { do: "signal", signal: sent },
    { do: "set time", millis: isHard ? Infinity : rules.killTimeout },
    report({ news, done, signal: sent })
  ]
}

const onTime = <Leased>(state: State<Leased>, restarts: number, rules: Rules): Step<Leased> => {
  if (state.phase === "stopping")
    return [
      { ...state, signal: "SIGKILL" },
      { do: "signal", signal: "SIGKILL" }
    ]
  if (state.phase !== "waiting") return [state]
  const { news } = state
  const reaction = reactionTo(rules, news)
  if (reaction.kind === "signal") return [running, ...signalled(news, reaction.signal)]
  if (restarts < maxRestarts) return [{ phase: "leasing", news }, { do: "lease" }]
  const [next, ...actions] = stop<Leased>(state, news, rules.killSignal, rules)
  return [
    next.phase === "stopping" ? { ...next, hasGivenUp: true } : next,
    ...actions.map((action) => (action.do === "report" ? report({ news, done: "give up" }) : action))
  ]
}

/** Lets the program keep the old value, unless it changes once more. */
const onRefusal = <Leased>(
  { later, news }: Extract<State<Leased>, { phase: "leasing" }>,
  reason: string,
  rules: Rules
): Step<Leased> => {
  const [next, ...actions] = later === undefined ? ([running] as const) : gather<Leased>(running, later, rules.splay)
  return [next, report({ news, done: "keep", reason }), ...actions]
}

/** Does not start a program again that somebody ends. */
const onSignal = <Leased>(state: State<Leased>, signal: NodeJS.Signals): Step<Leased> => {
  if (state.phase === "over" || !ending.has(signal)) return [state]
  if (state.phase === "stopping") return [{ ...state, again: undefined, later: undefined }]
  return [signal === "SIGTERM" ? { phase: "running", isLeaving: true } : state]
}

const outcomeOf = <Leased>({
  again,
  hasGivenUp,
  later,
  news
}: Extract<State<Leased>, { phase: "stopping" }>): ProgramOutcome<Leased> => ({
  because: news.because,
  again,
  later,
  hasGivenUp: hasGivenUp === true
})

export interface Program {
  readonly exited: Effect.Effect<void>
  readonly signal: (name: NodeJS.Signals) => void
  /** Returns whether something is left in its process group, where that is not ours. */
  readonly hasGroup: () => boolean
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

/** How often the process group is looked at after the exit of the program. */
const groupPoll = "20 millis"

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
  const groupGone = Effect.gen(function* () {
    while (program.hasGroup()) yield* Effect.sleep(groupPoll)
    yield* Queue.offer(inputs, { kind: "gone" })
  })
  const leasing = Effect.matchEffect(world.leaseAgain, {
    onSuccess: (leased) => Queue.offer(inputs, { kind: "leased", leased }),
    onFailure: (reason) => Queue.offer(inputs, { kind: "not leased", reason })
  })
  return (action: Action, phase: State<Leased>["phase"]): Effect.Effect<unknown, never, Scope.Scope> => {
    switch (action.do) {
      case "signal":
        return Effect.sync(() => program.signal(action.signal))
      case "set time":
        return FiberHandle.run(timer, due(action.millis, action.splay ?? 0, phase))
      case "lease":
        return Effect.forkScoped(leasing)
      case "await group":
        return Effect.forkScoped(groupGone)
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
