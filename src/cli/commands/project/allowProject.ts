/**
 * Trusts one project file: recorded by the daemon first, then kept in the list.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { withEntry } from "../../../domain/ProjectTrust.ts"
import { fromMillis } from "../../../domain/Timestamp.ts"
import type { DaemonAddress } from "../../../rpc/client/client.ts"
import { changeTrustList } from "./changeTrustList.ts"
import type { Project } from "./findProject.ts"
import { recordTrust } from "./recordTrust.ts"
import { loadTrustList } from "./trustList.ts"

export const allowProject = Effect.fnUntraced(function* (daemon: DaemonAddress, { file: path, hash }: Project) {
  // A list that cannot be used would be found out only after the decision was recorded.
  yield* loadTrustList
  const { text } = fromMillis(yield* Clock.currentTimeMillis)
  yield* recordTrust(daemon, "allow", { path, hash })
  yield* changeTrustList((list) => withEntry(list, { path, hash, allowed_at: text })).pipe(
    Effect.onError(() => Effect.ignore(recordTrust(daemon, "disallow", { path, hash })))
  )
})
