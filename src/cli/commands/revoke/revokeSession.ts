/**
 * The parts of `secrets revoke` that need more than one request: `--wait` and the killswitch.
 */
import * as Effect from "effect/Effect"
import { request, sharedTimeout } from "../../../rpc/client/client.ts"
import { matchesShape } from "../../../domain/shape.ts"
import { CommandError, fromClient } from "../../command/CommandError.ts"
import { protocolProblem } from "../../command/problems.ts"
import { isProblem } from "../../command/QueryCommand.ts"
import { loadDaemon } from "../../command/settings.ts"
import { parseWait } from "../../command/waitDuration.ts"
import { awaitRuns, describeRuns, runsResult, stillRunning } from "./awaitRuns.ts"
import { drillKillswitch, pullKillswitch } from "./killswitch.ts"
import { renderRevoked, type RevokeArgs, revokeRequests, runsReached } from "./revoke.ts"

const example = "secrets revoke --client-id ci --wait 30s"

export const runRevokeSession = Effect.fnUntraced(function* (args: RevokeArgs) {
  const wait = yield* parseWait(args.option("wait") ?? (args.flag("all") ? "10s" : "0s"), example, 0)
  if (args.flag("all")) return yield* args.flag("drill") ? drillKillswitch(args) : pullKillswitch(args, wait)
  const [asked] = requestsOf(args)
  const daemon = yield* loadDaemon(args)
  const rest = yield* sharedTimeout(daemon)
  const revoked = asked && (yield* Effect.mapError(request(daemon, asked.method, asked.params), fromClient))
  const output = renderRevoked(revoked, args)
  if (output === undefined || !matchesShape(revoked, runsReached)) {
    return yield* new CommandError(protocolProblem("the result has an unexpected shape"))
  }
  const runs = yield* awaitRuns(yield* rest, revoked, wait)
  const [first = ""] = output.lines ?? []
  return {
    lines: [first, ...describeRuns(runs)],
    problem: stillRunning(runs),
    result: { ...Object(output.result), ...runsResult(runs) }
  }
})

const requestsOf = (args: RevokeArgs) => {
  const asked = revokeRequests(args)
  return asked === undefined || isProblem(asked) ? [] : asked
}
