/**
 * The process that started `exec` with --parent, as `secrets mcp` does, at the other end of a
 * channel of Node. It sends the variables of the program and gets reports of its start and end, never a value.
 * When it goes away, the program is ended.
 */
import * as Effect from "effect/Effect"
import type { Masker } from "../../../domain/Masker.ts"

/** What the parent sends: variables of the program, beside those of `exec` and the secrets. */
export interface ParentStart {
  readonly env: Readonly<Record<string, string>>
}

export interface StartReport {
  readonly kind: "started"
  readonly pid: number
}

export interface EndReport {
  readonly kind: "ended"
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** How often a value was masked in the output so far. */
  readonly masked: number
}

/** Comes when the output is written, with what the daemon knows of the program. */
export interface RunReport {
  readonly kind: "run"
  /** How often a value was masked in the whole output. */
  readonly masked: number
  readonly runId: string | undefined
  /** Why the program was stopped, such as `revoked`; undefined if it ended by itself. */
  readonly because: string | undefined
}

export interface ParentChannel {
  /** The environment of the program without the secrets: ours without the variables for `secrets`. */
  readonly env: NodeJS.ProcessEnv
  /** Returns whether the program may get a descriptor of ours: not the channel. */
  readonly mayInherit: (descriptor: number) => boolean
  /** Counts what the maskers mask. */
  readonly counting: (makeMasker: () => Masker) => () => Masker
  readonly onStart: (pid: number) => void
  readonly onExit: (code: number | null, signal: NodeJS.Signals | null) => void
  readonly onEnd: (run: Omit<RunReport, "kind" | "masked">) => void
}

/** The descriptor of the channel: the first after standard error. */
const channel = 3

/** Between SIGTERM and SIGKILL after the parent went away. */
const killTimeout = "2 seconds"

/** Waits for the parent's message; undefined if there is no channel. */
export const joinParent: Effect.Effect<ParentChannel | undefined> = Effect.gen(function* () {
  if (process.send === undefined) return undefined
  const start = yield* firstMessage
  // From now on it keeps no process alive.
  process.channel?.unref()
  const maskers: Array<Masker> = []
  const masked = () => maskers.reduce((sum, { count }) => sum + count, 0)
  let pid: number | undefined
  yield* Effect.forkDetach(
    Effect.gen(function* () {
      yield* parentGone
      process.kill(process.pid, "SIGTERM")
      yield* Effect.sleep(killTimeout)
      if (pid !== undefined) process.kill(-pid, "SIGKILL")
    }).pipe(Effect.ignoreCause)
  )
  return {
    env: { ...inheritedVariables(), ...start.env },
    mayInherit: (descriptor) => descriptor !== channel,
    counting: (makeMasker) => () => {
      const masker = makeMasker()
      maskers.push(masker)
      return masker
    },
    onStart: (started) => {
      pid = started
      report({ kind: "started", pid })
    },
    onExit: (code, signal) => {
      pid = undefined
      report({ kind: "ended", code, signal, masked: masked() })
    },
    onEnd: (run) => report({ kind: "run", masked: masked(), ...run })
  }
})

const report = (said: StartReport | EndReport | RunReport): void => {
  if (process.connected) process.send?.(said, () => {})
}

const firstMessage = Effect.callback<ParentStart>((resume) => {
  process.once("message", (message: unknown) =>
    resume(isStart(message) ? Effect.succeed(message) : Effect.die("the parent sent something else"))
  )
})

const parentGone = Effect.callback<void>((resume) => {
  if (!process.connected) return resume(Effect.void)
  process.once("disconnect", () => resume(Effect.void))
})

const isStart = (message: unknown): message is ParentStart => {
  const env: unknown = Reflect.get(Object(message), "env")
  return typeof env === "object" && env !== null && Object.values(env).every((value) => typeof value === "string")
}

const inheritedVariables = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("AGENT_SECRETS_")))
