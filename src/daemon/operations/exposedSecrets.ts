/**
 * Which secrets clients were given a value of, and whether that was changed since: what to change after an incident.
 *
 * A value that may be one of before counts as not changed. `exposure.ts` has the clients of one secret.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { clientGroup } from "../../domain/clientGroup.ts"
import { type Handout, isEarlier, isOpenWay, lastPlace, maybeCurrent } from "../../domain/Exposure.ts"
import { globMatcher } from "../../domain/glob.ts"
import type { Timestamp } from "../../domain/Timestamp.ts"
import { Runs } from "../runs/Runs.ts"
import { SecretStore } from "../secrets/SecretStore.ts"
import { doubtsOf, isCovered, isStored, noValue, unwatchedPrograms } from "./exposure.ts"
import { knownExposure, type WholeExposure } from "./knownExposure.ts"

export interface ExposureQuestion {
  /** A glob on the client. */
  readonly client: string | undefined
  readonly since: Timestamp | undefined
}

/** A secret of which matching clients were given a value. */
export interface ExposedSecret {
  readonly name: string
  readonly last: Timestamp
  readonly clients: number
  readonly leases: number
  /** Whether they have no value that is current, or may be. */
  readonly isChanged: boolean
  /** Whether they have none that is known to be current: it was added again or restored since. */
  readonly isUnsure: boolean
  /** Whether its rotation command has run since and has left the stored value as it was. */
  readonly isRotated: boolean
  readonly isOpen: boolean
  readonly hasHook: boolean
  readonly isStored: boolean | undefined
  /** Programs of these clients that are not registered and not known to have ended. */
  readonly unwatched: number
}

const isDone = ({ isChanged, isRotated }: ExposedSecret): boolean => isChanged || isRotated

/** Lists the secrets that the question is about: those to change first, then by the last lease. */
export const exposedSecrets = Effect.fn("exposedSecrets")(function* ({ client, since }: ExposureQuestion) {
  const known = yield* knownExposure
  const store = yield* SecretStore
  const unwatched = Map.groupBy(unwatchedPrograms(known, (yield* Runs).table), ({ secret }) => secret)
  const isClient = client === undefined ? () => true : globMatcher(clientGroup(client))
  const matches = (row: Handout) =>
    (row.client === "" || isClient(row.client)) && (since === undefined || row.last.millis >= since.millis)
  const secrets = known.names().flatMap((name): ReadonlyArray<ExposedSecret> => {
    const values = known.valuesOf(name)
    const current = values.at(-1)
    const ofCurrent = current?.handouts.filter(matches) ?? []
    const ofMaybe = maybeCurrent(values).flatMap(({ handouts }) => handouts.filter(matches))
    const shown = ofMaybe.length > 0 ? ofMaybe : values.flatMap(({ handouts }) => handouts.filter(matches))
    const [latest] = shown.toSorted((a, b) => b.last.millis - a.last.millis)
    if (latest === undefined) return []
    const found = store.get(name)
    const rotated = current?.rotated
    return [
      {
        name,
        last: latest.last,
        clients: new Set(shown.map(({ client: one }) => one)).size,
        leases: shown.reduce((sum, { times }) => sum + times, 0),
        isChanged: ofMaybe.length === 0,
        isUnsure: ofMaybe.length > 0 && ofCurrent.length === 0,
        isRotated:
          ofMaybe.length > 0 && rotated !== undefined && ofMaybe.every((row) => isEarlier(lastPlace(row), rotated)),
        isOpen: shown.some(({ via }) => isOpenWay(via)),
        hasHook: Result.isSuccess(found) && found.success.rotateVia !== "",
        isStored: isStored(found),
        unwatched: (unwatched.get(name) ?? []).filter((one) => isClient(clientGroup(one.client))).length
      }
    ]
  })
  const stored = new Map((yield* Effect.orElseSucceed(store.list, () => [])).map((info) => [info.name, info]))
  const { from } = known.exposure
  const current = [...new Set([...stored.keys(), ...known.names()])].map((name) => {
    return { name, value: known.valuesOf(name).at(-1) ?? noValue }
  })
  const areCovered =
    (since !== undefined && from !== undefined && from.at.millis <= since.millis) ||
    current.every(({ name, value }) => isCovered(known, value, stored.get(name)))
  const reasons = yield* doubtsOf(
    known,
    areCovered,
    current.map(({ value }) => value)
  )
  return {
    secrets: secrets.toSorted((a, b) => Number(isDone(a)) - Number(isDone(b)) || b.last.millis - a.last.millis),
    /** Whether any client that is known matches. */
    isClientKnown: secrets.length > 0 || knowsClient(known, isClient),
    from,
    reasons
  }
})

const knowsClient = ({ names, valuesOf }: WholeExposure, isClient: (client: string) => boolean): boolean =>
  names().some((name) => valuesOf(name).some(({ handouts }) => handouts.some((row) => isClient(row.client))))

/** Names the secrets that were printed or written to a file, and whose value is the first that they had. */
export const openAndUnchanged = Effect.gen(function* () {
  const { valuesOf } = yield* knownExposure
  const secrets = yield* SecretStore.use(({ list }) => Effect.orElseSucceed(list, () => []))
  return secrets.flatMap(({ createdAt, name, updatedAt }) => {
    const [value, ...later] = valuesOf(name)
    const isFirst = value?.set === undefined ? createdAt.millis === updatedAt.millis : value.set.by === "secret_add"
    return value !== undefined && later.length === 0 && isFirst && value.handouts.some(({ via }) => isOpenWay(via))
      ? [name]
      : []
  })
})
