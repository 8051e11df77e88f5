/**
 * The states of a program that has secrets: what is to be done with it when one of them is revoked,
 * changes or expires, and in which order. It does nothing itself.
 *
 *     running ── change ──▶ waiting ── time ──▶ leasing ── leased ──▶ stopping ── gone ──▶ over, start again
 *        └─────────────────────┴── revoke ────────┴───────────────────▶ stopping ── gone ──▶ over
 */
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
  /** And so has what it had started. */
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

/** The line that a person reads. */
export interface Report {
  readonly news: News
  readonly done: "stop" | "restart" | "signal" | "command" | "command failed" | "keep" | "give up"
  readonly signal?: NodeJS.Signals
  /** Why there is no restart. */
  readonly reason?: string
}

export type Action =
  /** "stop" reaches also what the program has started. */
  | { readonly do: "signal" | "stop"; readonly signal: NodeJS.Signals }
  /** Replaces the time that was set before. `splay` is the longest random addition. */
  | { readonly do: "set time"; readonly millis: number; readonly splay?: number }
  | { readonly do: "lease" | "await the rest" }
  | { readonly do: "run command"; readonly command: string; readonly news: News }
  | { readonly do: "report"; readonly report: Report }

export type Step<Leased> = readonly [State<Leased>, ...ReadonlyArray<Action>]

/** Changes within this time are one. */
const gatherMillis = 1000

/** More restarts within a minute do not help. */
const maxRestarts = 5
export const restartWindow = 60_000

/** Signals that end most programs. */
export const ending: ReadonlySet<NodeJS.Signals> = new Set(["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"])

export const running = { phase: "running", isLeaving: false } as const

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
      return state.phase === "stopping" ? [state, { do: "await the rest" }] : [{ phase: "over", outcome: {} }]
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
      ...(isHarder ? [{ do: "stop", signal } as const] : []),
      ...(wasRestart ? [report({ news, done, signal })] : [])
    ]
  }
  const later = state.phase === "leasing" ? state.later : undefined
  const isHard = signal === "SIGKILL" || rules.killTimeout === 0
  const sent = isHard ? "SIGKILL" : signal
  return [
    { phase: "stopping", news, signal: sent, again, later },
    { do: "stop", signal: sent },
    { do: "set time", millis: isHard ? Infinity : rules.killTimeout },
    report({ news, done, signal: sent })
  ]
}

const onTime = <Leased>(state: State<Leased>, restarts: number, rules: Rules): Step<Leased> => {
  if (state.phase === "stopping")
    return [
      { ...state, signal: "SIGKILL" },
      { do: "stop", signal: "SIGKILL" }
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

/** Does not restart a program that a person ends. */
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
