/**
 * A connection to the daemon that stays open, for what ends with it: one request after the other,
 * answered in order.
 *
 * It neither retries nor interprets anything.
 */
import * as Effect from "effect/Effect"
import { connect } from "node:net"
import { isOwnPath } from "../../process/isOwnPath.ts"
import { unsafeSocket } from "../../process/pathOwners.ts"
import type { MethodName } from "../protocol/methods.ts"
import { readReply, type RpcReply } from "../protocol/reply.ts"
import { DaemonUnavailable, UnsafeSocket } from "./client.ts"
import { requestLine } from "./sendRequests.ts"

export interface HeldConnection {
  /** Undefined if the connection ends before the reply, or the reply is none. */
  readonly ask: (method: MethodName, params: object) => Effect.Effect<RpcReply | undefined>
  readonly close: () => void
}

/** Connects, once it is known whose socket it is. `onEnd` is called back at the end of the connection, unless we close it. */
export const holdConnection = (
  socketPath: string,
  onEnd: () => void
): Effect.Effect<HeldConnection, DaemonUnavailable | UnsafeSocket> =>
  Effect.callback((resume) => {
    const waiting: Array<(line: string | undefined) => void> = []
    let [received, isEnded] = ["", false]
    const socket = connect({ path: socketPath })
    const end = () => {
      if (isEnded) return
      isEnded = true
      socket.destroy()
      for (const settle of waiting.splice(0)) settle(undefined)
    }
    socket.once("error", ({ code = "unknown" }: NodeJS.ErrnoException) =>
      resume(Effect.fail(new DaemonUnavailable({ socketPath, code })))
    )
    socket.once("close", () => {
      if (isEnded) return
      end()
      onEnd()
    })
    socket.setEncoding("utf8")
    socket.on("data", (text: string) => {
      const lines = `${received}${text}`.split("\n")
      received = lines.pop() ?? ""
      for (const line of lines) waiting.shift()?.(line)
    })
    socket.once("connect", () => {
      const unsafe = isOwnPath(socketPath) ? undefined : unsafeSocket(socketPath)
      if (unsafe !== undefined && unsafe !== "missing") {
        end()
        return resume(Effect.fail(new UnsafeSocket(unsafe)))
      }
      resume(Effect.succeed({ ask, close: end }))
    })
    const ask = (method: MethodName, params: object) =>
      Effect.callback<RpcReply | undefined>((settle) => {
        if (isEnded) return settle(Effect.undefined)
        // An interruption leaves the place: the reply still comes.
        waiting.push((line) => settle(Effect.succeed(readReply(line))))
        socket.write(`${requestLine(method, params, 1)}\n`)
      })
    return Effect.sync(end)
  })
