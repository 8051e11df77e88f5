/**
 * The methods about secrets. None returns a value; only a lease does.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { AuditLog } from "../../../daemon/audit/AuditLog.ts"
import { CurrentCaller } from "../../../daemon/audit/CurrentCaller.ts"
import { LeaseRepo } from "../../../daemon/leases/LeaseRepo.ts"
import { addSecret } from "../../../daemon/operations/addSecrets.ts"
import { deleteSecret } from "../../../daemon/operations/deleteSecret.ts"
import { checkHealth } from "../../../daemon/operations/health.ts"
import { identifyValues, listFingerprints } from "../../../daemon/operations/identifyValues.ts"
import { ownLeases } from "../../../daemon/operations/listLeases.ts"
import { lockStore, unlockStore } from "../../../daemon/operations/lock.ts"
import { rotateSecret } from "../../../daemon/operations/rotate.ts"
import { visibleSecrets } from "../../../daemon/operations/status.ts"
import { SecretStore } from "../../../daemon/secrets/SecretStore.ts"
import { getFact, initFact, refusedFact } from "../../../domain/AuditEntry.ts"
import { quote } from "../../../domain/goText.ts"
import { DirectAccess, nameLimit, StoreLocked, valueLimit } from "../../../domain/Secret.ts"
import { RpcError } from "../../protocol/Protocol.ts"
import { atMost, readParams, required, succeeded } from "../params.ts"

/** All texts of one `identify` together: base64, separated by commas. */
const textsLimit = 256 * 1024
const maxTexts = 1000

const secretFields = { name: "string", value: "string", rotate_via: "string", rotate_stdout: "bool" } as const
const addParams = readParams("AddParams", secretFields)
const updateParams = readParams("UpdateParams", { ...secretFields, rotate_via_set: "bool" })
const nameParams = readParams("DeleteParams", { name: "string" })
const rotateParams = readParams("RotateParams", { secret_name: "string" })
const fingerprintParams = readParams("FingerprintsParams", { client_id: "string" })
const identifyParams = readParams("IdentifyParams", { client_id: "string", texts: "string" })

export const secretHandlers = {
  /** The store exists since the start, so this only records the request; it never empties the store. */
  "secrets.init": Effect.fnUntraced(function* () {
    const audit = yield* AuditLog
    const secrets = yield* SecretStore
    if (secrets.lockedSince() !== undefined) return yield* storeLocked
    yield* audit.append([initFact("there is a store already; nothing was changed")])
    return succeeded("store initialized successfully")
  }),

  "secrets.list": Effect.fnUntraced(function* () {
    const { scope } = yield* CurrentCaller
    const countOf = scope === undefined ? (yield* LeaseRepo).activeCountOfSecret : yield* ownCounts
    return {
      secrets: yield* Effect.forEach(yield* whileUnlocked(visibleSecrets), (secret) =>
        Effect.map(countOf(secret.name), (activeLeases) => ({
          name: secret.name,
          created_at: secret.createdAt.text,
          updated_at: secret.updatedAt.text,
          // A command may say more than a worker needs to know.
          rotate_via: secret.rotateVia === "" || scope !== undefined ? undefined : secret.rotateVia,
          last_rotated: secret.lastRotated.text,
          active_leases: activeLeases
        }))
      )
    }
  }),

  "secrets.add": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* addParams(raw)
    yield* checkSecret(params)
    const { looksLike } = yield* addSecret({
      name: params.name,
      value: Redacted.make(params.value),
      rotateVia: params.rotate_via,
      rotateStdout: params.rotate_stdout
    })
    const more = looksLike.length === 0 ? {} : { looks_like: looksLike }
    return succeeded(`secret ${quote(params.name)} added successfully`, more)
  }),

  "secrets.update": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* updateParams(raw)
    yield* checkSecret(params)
    const secrets = yield* SecretStore
    const hook = params.rotate_via_set ? { rotateVia: params.rotate_via, rotateStdout: params.rotate_stdout } : {}
    yield* secrets.update(params.name, { value: Redacted.make(params.value), ...hook })
    return succeeded(`secret ${quote(params.name)} updated successfully`)
  }),

  "secrets.get": Effect.fnUntraced(function* (raw: unknown) {
    const audit = yield* AuditLog
    const { name } = yield* Effect.orElseSucceed(nameParams(raw ?? {}), () => ({ name: "" }))
    yield* Effect.ignore(
      audit.append([refusedFact(getFact(name.slice(0, nameLimit)), "direct secret access not allowed")])
    )
    return yield* new DirectAccess()
  }),

  "secrets.delete": Effect.fnUntraced(function* (raw: unknown) {
    const { name } = yield* nameParams(raw)
    yield* required(name, "secret name")
    yield* deleteSecret(name)
    return succeeded(`secret ${quote(name)} deleted successfully`)
  }),

  "secrets.rotate": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* rotateParams(raw)
    yield* required(params.secret_name, "secret_name")
    const { at, leasesOfOldValue, output } = yield* rotateSecret(params.secret_name)
    return {
      success: true,
      output: output === "" ? undefined : output,
      executed_at: at.text,
      leases_of_old_value: leasesOfOldValue === 0 ? undefined : leasesOfOldValue
    }
  }),

  "secrets.health": () => checkHealth,

  /** Beyond the predecessor, like `unlock`. */
  "secrets.lock": Effect.fnUntraced(function* () {
    const { activeLeases, already, rotating, since } = yield* lockStore()
    return { locked: true, locked_since: since, already, rotating, active_leases: activeLeases }
  }),

  "secrets.unlock": Effect.fnUntraced(function* () {
    const lockedSince = yield* unlockStore()
    const secrets = yield* SecretStore
    return { locked: false, locked_since: lockedSince, secrets_count: yield* secrets.count }
  }),

  /** Beyond the predecessor: what `secrets.identify` can be asked about. */
  "secrets.fingerprints": Effect.fnUntraced(function* (raw: unknown) {
    const { client_id } = yield* fingerprintParams(raw)
    yield* required(client_id, "client_id")
    const { fingerprints, multiplier, omitted, tooShort, values } = yield* whileUnlocked(listFingerprints(client_id))
    return {
      multiplier,
      fingerprints: fingerprints.map(({ end, length, middle }) => [length, middle, end]),
      values,
      too_short: tooShort,
      omitted
    }
  }),

  /** Beyond the predecessor: for each text, in base64, the names of the secrets whose value it is. */
  "secrets.identify": Effect.fnUntraced(function* (raw: unknown) {
    const { client_id, texts } = yield* identifyParams(raw)
    yield* required(client_id, "client_id")
    yield* required(texts, "texts", textsLimit)
    const given = texts.split(",", maxTexts + 1)
    if (given.length > maxTexts) {
      return yield* new RpcError({ tag: "InvalidParams", message: `more than ${maxTexts} texts were given` })
    }
    const decoded = given.map((text) => Buffer.from(text, "base64"))
    const names = yield* whileUnlocked(identifyValues(client_id, decoded))
    return { names }
  })
}

/** Returns how many of the caller's own leases a secret has. */
const ownCounts = Effect.map(ownLeases, (leases) => {
  const bySecret = Map.groupBy(leases, ({ secretName }) => secretName)
  return (name: string) => Effect.succeed(bySecret.get(name)?.length ?? 0)
})

const { message } = new StoreLocked()
/** Audited by the dispatcher: the operations record the rejections of leases and changes, with their names. */
const storeLocked = Effect.fail(new RpcError({ tag: "StoreLocked", message }))

const whileUnlocked = <A, E, R>(read: Effect.Effect<A, E | StoreLocked, R>) =>
  Effect.catchIf(
    read,
    (error): error is StoreLocked => error instanceof StoreLocked,
    () => storeLocked
  )

const checkSecret = Effect.fnUntraced(function* (params: {
  readonly name: string
  readonly value: string
  readonly rotate_via: string
}) {
  yield* required(params.name, "secret name")
  yield* required(params.value, "secret value", valueLimit)
  yield* atMost(nameLimit, params.rotate_via, "rotate_via")
})
