/**
 * Sends one request to the daemon without a retry: the watch of a run has its own back-off.
 */
import * as Effect from "effect/Effect"
import type { DaemonAddress } from "../../../../rpc/client/client.ts"
import { roundTrip, type RoundTrip } from "../../../../rpc/client/roundTrip.ts"
import { requestLine } from "../../../../rpc/client/sendRequests.ts"
import { readReply } from "../../../../rpc/protocol/reply.ts"
import type { Ask } from "./followRun.ts"

/** Tries the socket of the owner first, if there is one. */
export const askOnce =
  ({ ownerSocket, socketPath }: DaemonAddress): Ask =>
  (method, params) =>
    Effect.gen(function* () {
      const line = requestLine(method, params, 1)
      const first = yield* send(ownerSocket ?? socketPath, line)
      const isElsewhere = ownerSocket !== undefined && first._tag === "Unreachable"
      const trip = isElsewhere ? yield* send(socketPath, line) : first
      return trip._tag === "Replies" ? readReply(trip.lines[0]) : undefined
    })

/** Only the daemon that is meant may end a program. */
const isChecked = true

const send = (socketPath: string, line: string): Effect.Effect<RoundTrip> =>
  Effect.callback((resume) => {
    const abort = roundTrip(socketPath, [line], (trip) => resume(Effect.succeed(trip)), isChecked)
    return Effect.sync(abort)
  })
