/**
 * The method about project files. The command decides, for the user who runs it; the daemon
 * records the decision.
 */
import * as Effect from "effect/Effect"
import { AuditLog } from "../../../daemon/audit/AuditLog.ts"
import { trustFact } from "../../../domain/storeFacts.ts"
import { isProjectHash, isTrustDecision, pathLimit } from "../../../domain/ProjectTrust.ts"
import { RpcError } from "../../protocol/Protocol.ts"
import { readParams, required, succeeded } from "../params.ts"

const trustParams = readParams("RecordTrustParams", {
  client_id: "string",
  decision: "string",
  path: "string",
  hash: "string"
})

export const projectHandlers = {
  /** Beyond the predecessor. */
  "secrets.recordTrust": Effect.fnUntraced(function* (raw: unknown) {
    const { client_id, decision, hash, path } = yield* trustParams(raw)
    yield* required(client_id, "client_id")
    yield* required(path, "path", pathLimit)
    if (!isTrustDecision(decision)) return yield* invalid("decision must be allow, disallow, accept or refuse")
    if (!isProjectHash(hash)) return yield* invalid("hash must be 64 hexadecimal digits")
    yield* AuditLog.use((audit) => audit.append([trustFact(decision, path, hash, client_id)]))
    return succeeded("recorded")
  })
}

const invalid = (message: string) => Effect.fail(new RpcError({ tag: "InvalidParams", message }))
