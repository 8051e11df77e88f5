/**
 * Sends requests to the daemon over one connection, and again where that is safe.
 *
 * A restart is not an error: a daemon that is away is tried again until the timeout, or not at
 * all where nothing promises its return. A request that may run only once is never sent again once the daemon may have received it. It uses
 * Node alone, and its timers are passed in.
 */
import { setImmediate } from "node:timers"
import { type MethodName, type MethodSpec, methods } from "../protocol/methods.ts"
import { type RpcReply, readReply } from "../protocol/reply.ts"
import { type RoundTrip, roundTrip } from "./roundTrip.ts"

export interface ClientRequest {
  readonly method: MethodName
  readonly params: object
}

export interface SendOptions {
  readonly socketPath: string
  /** The socket of the daemon's owner, tried before the other one. For everyone else it does not exist. */
  readonly ownerSocket?: string | undefined
  /** For everything together: waiting for the daemon, the request, its reply. */
  readonly seconds: number
  /** Asked once when nothing listens. Without it, the daemon is waited for in any case. */
  readonly returnsSoon?: ReturnsSoon | undefined
  /** Called once when nothing has listened for a moment and the request is tried again. */
  readonly onWait?: (() => void) | undefined
  readonly after: After
}

/** Whether a daemon is likely to listen soon. */
export type ReturnsSoon = () => Promise<boolean>

/** Runs a function after so many milliseconds; returns a function that cancels that. */
export type After = (millis: number, run: () => void) => () => void

/** Why there are no replies. */
export type SendFailure =
  /** `code` is the system's reason, such as ENOENT or EACCES. */
  | { readonly _tag: "DaemonUnavailable"; readonly socketPath: string; readonly code: string }
  | { readonly _tag: "RequestTimedOut"; readonly seconds: number }
  | { readonly _tag: "UnsafeSocket"; readonly reason: string; readonly fix: string }
  | { readonly _tag: "InvalidReply"; readonly reason: string }

/** One reply for each request; undefined where the line is no reply. */
export type SendOutcome =
  | { readonly _tag: "Replies"; readonly replies: ReadonlyArray<RpcReply | undefined> }
  | SendFailure

/** The system's reasons that may be gone a moment later. */
const transientCodes: ReadonlySet<string> = new Set(["ENOENT", "ECONNREFUSED", "EAGAIN", "ECONNRESET", "EPIPE"])
/** Returns whether it is a code of a daemon that does not listen. */
const isAbsent = (code: string): boolean => code === "ENOENT" || code === "ECONNREFUSED"

/** macOS refuses a connection also where too many wait. */
const refusalsOfAbsent = 3

/** In milliseconds. Short enough to reach a daemon that runs for a moment between two crashes. */
const firstPause = 10
const maxPause = 100
const pauseGrowth = 1.6
/** For a daemon that is expected, also where its reply may take longer. */
const maxAbsence = 3500

/** A restart is over before a person notices this. */
const noticedAbsence = 200

/** Calls `settle` once with the outcome. Returns a function that aborts it. */
export const sendRequests = (
  { after, onWait, ownerSocket, returnsSoon, seconds, socketPath }: SendOptions,
  requests: ReadonlyArray<ClientRequest>,
  settle: (outcome: SendOutcome) => void
): (() => void) => {
  const lines = requests.map(({ method, params }, index) => requestLine(method, params, index + 1))
  const check = requests.some(({ method }) => specOf(method).hasValue === true)
  const mayRepeat = requests.every(({ method }) => specOf(method).retry !== "once")
  let [connectionLost, lastCode, pause] = [false, "", firstPause]
  let [abortTrip, cancelPause] = [nothing, nothing]
  let path = ownerSocket ?? socketPath
  let [isSettled, isExpected, refusals, waited] = [false, false, 0, 0]

  const finish = (outcome: SendOutcome) => {
    isSettled = true
    cancelDeadline()
    settle(outcome)
  }
  const giveUp = () => finish({ _tag: "DaemonUnavailable", socketPath, code: lastCode })
  const attempt = () => {
    const settleTrip = (trip: RoundTrip) => {
      switch (trip._tag) {
        case "Replies":
          return finish({
            _tag: "Replies",
            replies: requests.map(({ method }, index) => replyTo(method, trip.lines[index], connectionLost))
          })
        case "ReplyTooLarge":
          return finish({ _tag: "InvalidReply", reason: "it is too large" })
        case "ConnectionLost":
          if (!mayRepeat) return finish({ _tag: "InvalidReply", reason: possiblyDone })
          connectionLost = true
          isExpected = true
          return attemptAgain()
        case "Unreachable":
          if (path !== socketPath) {
            path = socketPath
            return attempt()
          }
          path = ownerSocket ?? socketPath
          lastCode = trip.code
          if (!transientCodes.has(trip.code)) return giveUp()
          if (!isAbsent(trip.code)) isExpected = true
          if (returnsSoon === undefined || !isAbsent(trip.code) || (isExpected && waited < maxAbsence)) {
            return attemptAgain()
          }
          if (isExpected) return giveUp()
          if (trip.code === "ECONNREFUSED" && (refusals += 1) < refusalsOfAbsent) return attemptAgain()
          return void returnsSoon().then((expected) => {
            isExpected = expected
            return isSettled || (expected ? attemptAgain() : giveUp())
          })
        case "UnsafeSocket":
          return finish({ _tag: "UnsafeSocket", ...trip.unsafe })
      }
    }
    abortTrip = roundTrip(path, lines, settleTrip, check)
  }
  const attemptAgain = () => {
    cancelPause = after(pause, attempt)
    if (waited < noticedAbsence && waited + pause >= noticedAbsence && lastCode !== "") onWait?.()
    waited += pause
    pause = Math.min(pause * pauseGrowth, maxPause)
  }
  const abort = () => {
    isSettled = true
    cancelPause()
    abortTrip()
  }
  const expire = () => {
    if (isSettled) return
    abort()
    settle(
      lastCode === "" ? { _tag: "RequestTimedOut", seconds } : { _tag: "DaemonUnavailable", socketPath, code: lastCode }
    )
  }
  // What has arrived counts: a process that did not run for some time sees its timers before its two sockets.
  const cancelDeadline = after(seconds * 1000, () => void setImmediate(setImmediate, expire))
  attempt()
  return () => {
    cancelDeadline()
    abort()
  }
}

const nothing = (): void => undefined

const possiblyDone = "the connection ended before it; the request may have been carried out"

const specOf = (method: MethodName): MethodSpec => methods[method]

/** Reads the reply; what a repeated request finds ended already was ended by the first one. */
const replyTo = (method: MethodName, line: string | undefined, repeated: boolean): RpcReply | undefined => {
  const reply = readReply(line)
  const { retry } = specOf(method)
  return repeated && typeof retry === "object" && reply?.error !== undefined && reply.error.tag === retry.doneIf
    ? { error: undefined, result: { success: true } }
    : reply
}

/** Encodes a request as a line. */
export const requestLine = (method: MethodName, params: object, id: number): string =>
  JSON.stringify({ jsonrpc: "2.0", method, params, id })
