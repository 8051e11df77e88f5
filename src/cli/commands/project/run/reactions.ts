/**
 * The flags of `exec` that say what becomes of its program when a secret of it is revoked, has a
 * new value, or expires.
 *
 * A word that is no reaction may be a command, for a revoke. A command is checked before anything
 * is leased: a misspelt `term` must not let a program run on.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { constants } from "node:os"
import { escapeValue } from "../../../../domain/escape.ts"
import { parseSpelledDuration, toMillis } from "../../../../domain/GoDuration.ts"
import { programPath } from "../../../../process/programPath.ts"
import type { Args, Flags } from "../../../command/Command.ts"
import { type CommandError, failUsage } from "../../../command/CommandError.ts"

export type Reaction =
  | { readonly kind: "ignore" | "restart" | "renew" }
  /** Sends the signal, and SIGKILL after the timeout. */
  | { readonly kind: "stop"; readonly signal: NodeJS.Signals }
  /** Sends the signal and lets the program run on. */
  | { readonly kind: "signal"; readonly signal: NodeJS.Signals }
  /** Runs it with /bin/sh, and stops the program if it fails. */
  | { readonly kind: "command"; readonly command: string }

export interface Rules {
  readonly onRevoke: Reaction
  readonly onChange: Reaction
  readonly onExpiry: Reaction
  /** Stops a program. */
  readonly killSignal: NodeJS.Signals
  /** Between that signal and SIGKILL, in milliseconds; may be infinite. */
  readonly killTimeout: number
  /** The longest random delay of a restart, in milliseconds. */
  readonly splay: number
  /** How long the program may run without a daemon, in milliseconds. */
  readonly requireDaemon: number | undefined
}

export const reactionFlags = {
  "on-revoke": {
    type: "string",
    value: "ACTION",
    summary: "when a secret of it is revoked or deleted: term, kill, hup, signal:NAME, none or a command (term)",
    completes: ["term", "kill", "hup", "none"]
  },
  watch: { type: "boolean", summary: "restart it when a secret has a new value" },
  "on-change": {
    type: "string",
    value: "ACTION",
    summary: "when a secret has a new value: restart, hup, signal:NAME, term, kill or none (none)",
    completes: ["restart", "hup", "term", "none"]
  },
  "on-expiry": {
    type: "string",
    value: "ACTION",
    summary: "when a lease expires: renew, term, kill, hup, signal:NAME or none (none)",
    completes: ["renew", "term", "hup", "none"]
  },
  "stop-at-expiry": { type: "boolean", summary: "the same as --on-expiry term" },
  "kill-signal": { type: "string", value: "NAME", summary: "what term and restart send (TERM)" },
  "kill-timeout": {
    type: "string",
    value: "DURATION",
    summary: "time until they send KILL: 0 is at once, or never (10s)"
  },
  splay: { type: "string", value: "DURATION", summary: "the longest random delay of a restart (0s)" },
  "require-daemon": {
    type: "string",
    value: "DURATION",
    summary: "treat so long without a daemon as a revoke"
  },
  "no-register": { type: "boolean", summary: "hide it from the daemon, so that no revoke reaches it" }
} as const satisfies Flags

type ReactionArgs = Args<typeof reactionFlags>

/** Reads the flags. `isWatched`: whether the daemon reports to this `exec`. */
export const readRules = Effect.fnUntraced(function* (args: ReactionArgs): Effect.fn.Return<Rules, CommandError> {
  const killSignal = yield* readSignal("--kill-signal", args.option("kill-signal") ?? "TERM")
  const read = (flag: ReactingFlag, unset: string) => readReaction(flag, args.option(flag) ?? unset, killSignal)
  const killTimeout = args.option("kill-timeout")
  const requireDaemon = args.option("require-daemon")
  return {
    onRevoke: yield* read("on-revoke", "term"),
    onChange: yield* read("on-change", args.flag("watch") ? "restart" : "none"),
    onExpiry: yield* read("on-expiry", args.flag("stop-at-expiry") ? "term" : "none"),
    killSignal,
    killTimeout: killTimeout === "never" ? Infinity : yield* readMillis("kill-timeout", killTimeout ?? "10s"),
    splay: yield* readMillis("splay", args.option("splay") ?? "0"),
    requireDaemon: requireDaemon === undefined ? undefined : yield* readMillis("require-daemon", requireDaemon, 1)
  }
})

/** Returns the flags that are given and need a daemon that reports to this `exec`. */
export const watchingFlags = (args: ReactionArgs): ReadonlyArray<string> =>
  [
    ...(["on-revoke", "on-change", "require-daemon"] as const).filter((flag) => args.option(flag) !== undefined),
    ...(args.flag("watch") ? ["watch"] : [])
  ].map((flag) => `--${flag}`)

/** Rejects flags that need a daemon where none reports to this `exec`. */
export const rejectUnwatched = (args: ReactionArgs, { onExpiry }: Rules, isVercel: boolean) => {
  const isHidden = args.flag("no-register")
  const renewing = isVercel && onExpiry.kind === "renew" ? ["--on-expiry renew"] : []
  const [flag] = isHidden || isVercel ? [...watchingFlags(args), ...renewing] : []
  if (flag === undefined) return Effect.void
  return isHidden
    ? failUsage(`${flag} has no effect with --no-register`, "Leave one of them out")
    : failUsage(`${flag} has no effect on secrets from Vercel`, "Leave it out")
}

/** What each flag can do besides the common reactions. */
const ownReactions = { "on-revoke": "command", "on-change": "restart", "on-expiry": "renew" } as const

type ReactingFlag = keyof typeof ownReactions

const readReaction = Effect.fnUntraced(function* (
  flag: ReactingFlag,
  text: string,
  killSignal: NodeJS.Signals
): Effect.fn.Return<Reaction, CommandError> {
  const own = ownReactions[flag]
  const word = text.toLowerCase()
  if (word === "none" || word === "ignore") return { kind: "ignore" }
  if (word === "term") return { kind: "stop", signal: killSignal }
  if (word === "kill") return { kind: "stop", signal: "SIGKILL" }
  if (word === "hup") return { kind: "signal", signal: "SIGHUP" }
  if (word.startsWith("signal:")) return { kind: "signal", signal: yield* readSignal(`--${flag}`, word.slice(7)) }
  if (own !== "command" && word === own) return { kind: own }
  if (own === "command" && isCommand(text)) return { kind: "command", command: text }
  const others = own === "command" ? "or a command that exists" : `or ${own}`
  return yield* failUsage(`--${flag} must be term, kill, hup, signal:NAME, none, ${others}`, `See: secrets exec --help`)
})

/** Returns whether a shell finds a command in the text. What begins with a path or has arguments is left to the shell. */
const isCommand = (text: string): boolean =>
  /\S\s+\S/.test(text.trim()) || text.includes("/") || programPath(text) !== text

const readSignal = (flag: string, text: string): Effect.Effect<NodeJS.Signals, CommandError> => {
  const name = text.toUpperCase().replace(/^(?!SIG)/, "SIG")
  return isSignalName(name)
    ? Effect.succeed(name)
    : Effect.fail(failUsage(`${flag}: there is no signal ${escapeValue(text)}`, "List the names: kill -l"))
}

const isSignalName = (name: string): name is NodeJS.Signals => Object.hasOwn(constants.signals, name)

/** Reads a duration of at least so many milliseconds. */
const readMillis = (flag: string, text: string, least = 0): Effect.Effect<number, CommandError> => {
  const millis = Result.match(parseSpelledDuration(text), { onSuccess: toMillis, onFailure: () => -1 })
  return millis >= least
    ? Effect.succeed(millis)
    : Effect.fail(failUsage(`--${flag} must be a duration${least > 0 ? " above 0" : ""}`, `For example: --${flag} 30s`))
}
