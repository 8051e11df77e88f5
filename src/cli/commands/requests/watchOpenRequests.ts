/**
 * secrets requests --watch: refreshes the open requests, and takes answers.
 *
 * A digit selects a request by its id, as it is on the screen; only then y or n answers it. So a
 * request that comes meanwhile is never answered for another one.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { agentVariable } from "../../../domain/agentVariables.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { call, type DaemonAddress } from "../../../rpc/client/client.ts"
import { failUsage, fromClient } from "../../command/CommandError.ts"
import { openScreen } from "../../terminal/screen.ts"
import { describeRequest } from "./approve.ts"
import { fetchRequests, requestExample, requestRows, type ShownRequest } from "./openRequests.ts"

/** Digits select so many. */
const maxShown = 9

export const watchOpenRequests = Effect.fnUntraced(function* (daemon: DaemonAddress, json: boolean) {
  if (!process.stdout.isTTY || process.env["TERM"] === "dumb" || json) {
    return yield* failUsage("--watch requires an interactive terminal", "Poll instead: secrets requests --json")
  }
  const mayAnswer = process.stdin.isTTY && agentVariable(process.env) === undefined
  const screen = yield* openScreen
  let [shown, total, selected, notice]: [ReadonlyArray<ShownRequest>, number, string, string] = [[], 0, "", ""]
  let isRead = false

  const draw = Effect.map(Clock.currentTimeMillis, (now) => {
    const marks = shown.map(({ request_id }, index) => `${request_id === selected ? ">" : " "}${index + 1}`)
    screen.draw([
      !isRead ? "" : total === 0 ? "no open requests" : `open requests: ${total}`,
      "",
      ...(total === 0 ? [] : requestRows(shown, now, marks)),
      "",
      mayAnswer ? "digit: select, y: approve, n: deny, q: quit" : "q: quit",
      notice
    ])
  })

  const refresh = Effect.gen(function* () {
    const found = yield* Effect.result(fetchRequests(daemon))
    isRead = Result.isSuccess(found)
    if (Result.isFailure(found)) {
      ;[shown, total, notice] = [[], 0, found.failure.message]
    } else {
      ;[shown, total] = [found.success.requests.slice(0, maxShown), found.success.total]
    }
    if (!shown.some(({ request_id }) => request_id === selected)) selected = ""
    yield* draw
  })

  const answer = Effect.fnUntraced(function* (word: "approve" | "deny") {
    if (selected === "") {
      notice = "select one first"
      return
    }
    const params = { request_id: selected, answer: word }
    const done = yield* Effect.result(
      Effect.mapError(call(daemon, "approvals.answer", params, requestExample), fromClient)
    )
    notice = Result.isSuccess(done)
      ? `${word === "approve" ? "approved" : "denied"}: ${describeRequest(done.success)}`
      : escapeValue(done.failure.message)
    selected = ""
  })

  const press = Effect.gen(function* () {
    const key = yield* screen.pressed
    if (!mayAnswer) return
    if (/[1-9]/.test(key)) selected = shown[Number(key) - 1]?.request_id ?? ""
    else if (key === "y") yield* answer("approve")
    else if (key === "n") yield* answer("deny")
    else return
    yield* key === "y" || key === "n" ? refresh : draw
  })

  yield* Effect.raceAllFirst([
    screen.ended,
    Effect.forever(Effect.andThen(refresh, Effect.sleep("1 second"))),
    Effect.forever(press),
    Effect.forever(Effect.andThen(screen.resized, draw))
  ])
  return { result: {} }
}, Effect.scoped)
