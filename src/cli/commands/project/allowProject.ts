/**
 * Trusts one project file: recorded by the daemon first, then kept in the list.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { withEntry } from "../../../domain/ProjectTrust.ts"
import { fromMillis } from "../../../domain/Timestamp.ts"
import { checkOwner } from "../../command/settings.ts"
import { changeTrustList } from "./changeTrustList.ts"
import type { Project } from "./findProject.ts"
import { type Recorder, recordTrust } from "./recordTrust.ts"
import { loadTrustList, trustListLocation } from "./trustList.ts"

export const allowProject = Effect.fnUntraced(function* (recorder: Recorder, { file: path, hash }: Project) {
  // A list that cannot be used would be found out only after the decision was recorded.
  yield* loadTrustList
  yield* checkOwner((yield* trustListLocation).directory, "secrets allow")
  const { text } = fromMillis(yield* Clock.currentTimeMillis)
  yield* recordTrust(recorder, "allow", { path, hash })
  yield* changeTrustList((list) => withEntry(list, { path, hash, allowed_at: text })).pipe(
    Effect.onError(() => Effect.ignore(recordTrust(recorder, "disallow", { path, hash })))
  )
})
