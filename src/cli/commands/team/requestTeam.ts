/** secrets team request: prints what another machine needs to add this one. */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { fingerprintOf } from "../../../daemon/team/fingerprint.ts"
import { writeRequest } from "../../../daemon/team/invitation.ts"
import { readSigner } from "../../../daemon/team/signer.ts"
import { loadConfig } from "../../command/settings.ts"
import { printNotice } from "../../command/Output.ts"
import { withoutDaemon } from "../backup/withoutDaemon.ts"
import { machineName } from "./machineName.ts"
import type { TeamArgs } from "./teamFlags.ts"
import { storeFailed } from "./teamProblems.ts"

export const requestTeam = Effect.fnUntraced(function* (args: TeamArgs) {
  const config = yield* loadConfig(args)
  const name = config.team?.name ?? (yield* machineName(args))
  if (!fs.existsSync(config.identityPath)) {
    yield* Effect.mapError(withoutDaemon(config, { command: "team", create: true }, Effect.void), storeFailed)
  }
  const signer = yield* Effect.mapError(readSigner(config, name), storeFailed)
  const words = fingerprintOf(signer.keys)
  const text = writeRequest(signer)
  if (!args.flag("json")) {
    printNotice(`the words of ${name}: ${words}`)
    printNotice("compare them on the machine that runs: secrets team add FILE")
  }
  const { request, sig }: { request: string; sig: string } = JSON.parse(text)
  return { lines: [text], result: { machine: name, words, request, sig } }
})
