/**
 * One request to the daemon, and its answer.
 *
 * A connection for each call: connect, send a line, read a line, close. Nothing is
 * tried twice. The answer is untrusted text until the caller has decoded it.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as net from "node:net"

/** There is no daemon to ask: `code` is the system's reason, such as ENOENT or EACCES. */
export class DaemonUnavailable extends Data.TaggedError("DaemonUnavailable")<{
  readonly socketPath: string
  readonly code: string
}> {
  override get message() {
    if (this.code === "EACCES") return `no permission to use the daemon's socket ${this.socketPath}`
    return `the daemon is not running, or not on ${this.socketPath} (${this.code})`
  }
}

/** The daemon answered with an error. */
export class Refused extends Data.TaggedError("Refused")<{ readonly code: number; readonly message: string }> {}

/** The daemon took the connection and gave no answer in time. */
export class NoAnswer extends Data.TaggedError("NoAnswer")<{ readonly within: Duration.Duration }> {
  override get message() {
    return `the daemon did not answer within ${Duration.toSeconds(this.within)} s`
  }
}

/** What came back is not an answer of the daemon. */
export class BadAnswer extends Data.TaggedError("BadAnswer")<{ readonly reason: string }> {
  override get message() {
    return `the daemon's answer cannot be used: ${this.reason}`
  }
}

export type ClientError = DaemonUnavailable | Refused | NoAnswer | BadAnswer

export interface Daemon {
  readonly socketPath: string
  readonly timeout: Duration.Duration
}

const Reply = Schema.fromJsonString(
  Schema.Struct({
    result: Schema.optionalKey(Schema.Unknown),
    error: Schema.optionalKey(Schema.Struct({ code: Schema.Finite, message: Schema.String }))
  })
)
const decodeReply = Schema.decodeUnknownResult(Reply)

/** Calls a method; its result must have the given form. */
export const call = <A>(
  daemon: Daemon,
  method: string,
  params: object,
  result: Schema.Codec<A, unknown>
): Effect.Effect<A, ClientError> =>
  Effect.gen(function* () {
    const line = yield* exchange(daemon.socketPath, JSON.stringify({ jsonrpc: "2.0", method, params, id: 1 }))
    const reply = decodeReply(line)
    if (Result.isFailure(reply)) return yield* new BadAnswer({ reason: "it is not a JSON-RPC reply" })
    const { error, result: given } = reply.success
    if (error !== undefined) return yield* new Refused(error)
    const decoded = Schema.decodeUnknownResult(result)(given)
    if (Result.isFailure(decoded)) return yield* new BadAnswer({ reason: `${method} has an unexpected result` })
    return decoded.success
  }).pipe(
    Effect.timeoutOrElse({
      duration: daemon.timeout,
      orElse: () => Effect.fail(new NoAnswer({ within: daemon.timeout }))
    })
  )

const exchange = (socketPath: string, request: string) =>
  Effect.callback<string, DaemonUnavailable | BadAnswer>((settle) => {
    const pieces: Array<Buffer> = []
    const socket = net.connect({ path: socketPath }, () => socket.write(`${request}\n`))
    const resume = (answer: Effect.Effect<string, DaemonUnavailable | BadAnswer>) => {
      socket.destroy()
      settle(answer)
    }
    socket.on("data", (piece) => {
      pieces.push(piece)
      if (piece.at(-1) === 0x0a) resume(Effect.succeed(Buffer.concat(pieces).toString("utf8")))
    })
    socket.once("end", () => resume(Effect.fail(new BadAnswer({ reason: "the connection ended before it" }))))
    socket.once("error", (error: NodeJS.ErrnoException) =>
      resume(Effect.fail(new DaemonUnavailable({ socketPath, code: error.code ?? "unknown" })))
    )
    return Effect.sync(() => socket.destroy())
  })
