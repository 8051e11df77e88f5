/**
 * Anchors: entries in which a machine signs the heads of the other chains, when it starts and while they move.
 *
 * So each chain seals the others. An anchor that only follows other anchors is left out, or idle machines would go on.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { KeyObject } from "node:crypto"
import type { ChainHead } from "../../domain/AuditChain.ts"
import { auditAnchorFact } from "../../domain/daemonFacts.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { MemberList } from "./members.ts"
import { isSignedBy, signText } from "./signatures.ts"
import { Team } from "./Team.ts"

/** How often a machine looks at the heads of the others, in milliseconds. */
export const anchorInterval = 600_000

const Heads = Schema.Array(
  Schema.Struct({ name: Schema.String, seq: Schema.Number, hash: Schema.String, last: Schema.NullOr(Schema.String) })
)

export interface AnchoredHead extends ChainHead {
  readonly machine: string
}

const signedText = (machine: string, heads: string): string => `${machine} anchors ${heads}`

/** Returns the heads of an anchor; undefined if the machine did not sign it. */
export const readAnchor = (
  details: string,
  by: string,
  { views }: MemberList
): ReadonlyArray<AnchoredHead> | undefined => {
  const [heads = "", sig = ""] = details.split("; ")
  const signer = views.findLast(({ members }) => members.has(by))?.members.get(by)
  if (signer === undefined || !isSignedBy(signer.key, signedText(by, heads), sig)) return undefined
  return heads.split(", ").map((head) => {
    const [machine = "", seq = "", hash = ""] = head.split(" ")
    return { machine, seq: Number(seq), hash }
  })
}

/** Writes an anchor now, and again whenever the heads have moved within the interval. */
export const writeAnchors = Effect.fn("writeAnchors")(function* (key: KeyObject) {
  const team = yield* Team
  const audit = yield* AuditLog
  let before = new Map<string, number>()
  const write = Effect.gen(function* () {
    yield* Effect.repeat(Effect.sleep("1 second"), { until: () => team.state()._tag === "Entered" })
    const others = (yield* team.read("heads", Heads)).filter(({ name, seq }) => name !== team.name && seq > 0)
    const moved = others.filter(({ name, seq }) => before.get(name) !== seq)
    if (moved.every(({ last }) => last?.includes('"action":"audit_anchor"') === true)) return
    const heads = others.map(({ hash, name, seq }) => `${name} ${seq} ${hash}`).join(", ")
    yield* audit.append([auditAnchorFact(`${heads}; ${signText(key, signedText(team.name, heads))}`)])
    before = new Map(others.map(({ name, seq }) => [name, seq]))
  })
  return yield* Effect.ignore(write).pipe(Effect.andThen(Effect.sleep(Duration.millis(anchorInterval))), Effect.forever)
})
