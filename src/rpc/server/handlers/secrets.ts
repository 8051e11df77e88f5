/**
 * The methods about secrets. Of these only `backup` returns values, to the owner alone.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { AuditLog } from "../../../daemon/audit/AuditLog.ts"
import { CurrentCaller } from "../../../daemon/audit/CurrentCaller.ts"
import { LeaseRepo } from "../../../daemon/leases/LeaseRepo.ts"
import { CurrentLimits } from "../../../daemon/operations/leaseRules.ts"
import { addSecret } from "../../../daemon/operations/addSecrets.ts"
import { backupStore, restoreStore } from "../../../daemon/operations/backup.ts"
import { deleteSecret } from "../../../daemon/operations/deleteSecret.ts"
import { describeSecret } from "../../../daemon/operations/describeSecret.ts"
import { openAndUnchanged } from "../../../daemon/operations/exposedSecrets.ts"
import { checkHealth } from "../../../daemon/operations/health.ts"
import { identifyValues, listFingerprints } from "../../../daemon/operations/identifyValues.ts"
import { type LastLease, lastLeases } from "../../../daemon/operations/lastLeases.ts"
import { ownLeases } from "../../../daemon/operations/listLeases.ts"
import { lockStore, unlockStore } from "../../../daemon/operations/lock.ts"
import { endStored } from "../../../daemon/operations/requests.ts"
import { rotateSecret } from "../../../daemon/operations/rotate.ts"
import { usableSecrets, visibleSecrets } from "../../../daemon/operations/status.ts"
import { lockedReason } from "../../../daemon/secrets/lockableStore.ts"
import { SecretStore } from "../../../daemon/secrets/SecretStore.ts"
import { refusedFact } from "../../../domain/factMakers.ts"
import { getFact, initFact } from "../../../domain/storeFacts.ts"
import { quote } from "../../../domain/goText.ts"
import { descriptionLimit, DirectAccess, nameLimit, StoreLocked, valueLimit } from "../../../domain/Secret.ts"
import { RpcError } from "../../protocol/Protocol.ts"
import { atMost, reached, readParams, required, succeeded } from "../params.ts"

/** All texts of one `identify` together: base64, separated by commas. */
const textsLimit = 256 * 1024
const maxTexts = 1000

const secretFields = {
  name: "string",
  value: "string",
  rotate_via: "string",
  rotate_stdout: "bool",
  description: "string",
  proxy_only: "bool"
} as const
const addParams = readParams("AddParams", secretFields)
const updateParams = readParams("UpdateParams", {
  ...secretFields,
  rotate_via_set: "bool",
  description_set: "bool",
  keep_value: "bool",
  report_holders: "bool"
})
const restoreParams = readParams("RestoreParams", {
  document: "string",
  overwrite: "bool",
  keep_newer: "bool",
  dry_run: "bool"
})
const healthParams = readParams("HealthParams", { exposure: "bool" })
const listParams = readParams("ListParams", {
  client_id: "string",
  every: "bool",
  last_leases: "bool",
  via: "string"
})
const showParams = readParams("ShowParams", { name: "string", client_id: "string" })
const nameParams = readParams("DeleteParams", { name: "string", report_runs: "bool" })
const lockParams = readParams("LockParams", { report_runs: "bool" })
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

  /**
   * The predecessor has no parameters: without `client_id` it lists what every client may find. `every` lists what can be
   * changed, for a role that may change it. With `last_leases` the log is searched for the last lease of each secret. With
   * `via` it lists what the client may use in this way.
   */
  "secrets.list": Effect.fnUntraced(function* (raw: unknown) {
    const { scope } = yield* CurrentCaller
    const params = yield* Effect.orElseSucceed(listParams(raw ?? {}), () => ({
      client_id: "",
      every: false,
      last_leases: false,
      via: ""
    }))
    if (params.via !== "") return yield* listUsable(params)
    const countOf = scope === undefined ? (yield* LeaseRepo).activeCountOfSecret : yield* ownCounts
    const secrets = yield* whileUnlocked(visibleSecrets(params.client_id, params.every))
    const searched = params.last_leases ? secrets.map(({ name }) => name) : []
    const last = yield* Effect.orElseSucceed(lastLeases(searched, listReading), () => unread)
    // Only for a command of ours, and for a caller who may change every secret.
    const isCounted = params.last_leases && !params.every && scope === undefined
    const hidden = isCounted ? (yield* whileUnlocked(visibleSecrets("", true))).length - secrets.length : 0
    return {
      secrets: yield* Effect.forEach(secrets, (secret) =>
        Effect.map(countOf(secret.name), (activeLeases) => ({
          name: secret.name,
          created_at: secret.createdAt.text,
          updated_at: secret.updatedAt.text,
          // A command may say more than a worker needs to know.
          rotate_via: secret.rotateVia === "" || scope !== undefined ? undefined : secret.rotateVia,
          last_rotated: secret.lastRotated.text,
          active_leases: activeLeases,
          description: secret.description || undefined,
          proxy_only: secret.proxyOnly,
          last_leased_at: last.leases.get(secret.name)?.at.text
        }))
      ),
      searched_all: params.last_leases ? last.complete : undefined,
      hidden: hidden > 0 ? hidden : undefined
    }
  }),

  /** Beyond the predecessor. */
  "secrets.show": Effect.fnUntraced(function* (raw: unknown) {
    const { client_id, name } = yield* showParams(raw)
    yield* required(name, "secret name")
    const { scope } = yield* CurrentCaller
    const found = yield* Effect.mapError(
      describeSecret(name, client_id),
      ({ _tag: tag, message }) => new RpcError({ tag, message, recorded: refusedReasons[tag], secretName: name })
    )
    const { active, form, info, lastLease, measured } = found
    return {
      name,
      description: info.description || undefined,
      proxy_only: info.proxyOnly,
      kind: form.kind,
      form: form.what,
      valid_until: form.validUntil?.text,
      length: measured?.length,
      lines: measured?.lines,
      ending: measured?.ending,
      fingerprint: measured?.fingerprint,
      created_at: info.createdAt.text,
      updated_at: info.updatedAt.text,
      last_rotated: info.lastRotated.text,
      rotate_via: info.rotateVia === "" || scope !== undefined ? undefined : info.rotateVia,
      rotate_stdout: info.rotateStdout || undefined,
      active_leases: active.length,
      leases: active.slice(-shownLeases).map((lease) => ({
        lease_id: lease.id,
        client_id: lease.clientId,
        created_at: lease.createdAt.text,
        expires_at: lease.expiresAt.text
      })),
      last_lease: lastLease === undefined ? undefined : { client_id: lastLease.clientId, leased_at: lastLease.at.text },
      searched_all: found.complete
    }
  }),

  "secrets.add": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* addParams(raw)
    yield* checkSecret(params)
    const { looksLike } = yield* addSecret({
      name: params.name,
      value: Redacted.make(params.value),
      rotateVia: params.rotate_via,
      rotateStdout: params.rotate_stdout,
      description: params.description,
      ...(params.proxy_only && { proxyOnly: true })
    })
    const more = looksLike.length === 0 ? {} : { looks_like: looksLike }
    return succeeded(`secret ${quote(params.name)} added successfully`, more)
  }),

  "secrets.update": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* updateParams(raw)
    // Only `keep_value` leaves the value out: the predecessor rejects a request without one.
    const keepsValue = params.keep_value && params.value === ""
    yield* checkSecret(keepsValue ? { ...params, value: "kept" } : params)
    const secrets = yield* SecretStore
    const value = keepsValue ? {} : { value: Redacted.make(params.value) }
    const hook = params.rotate_via_set ? { rotateVia: params.rotate_via, rotateStdout: params.rotate_stdout } : {}
    const description = params.description_set ? { description: params.description } : {}
    // It is never taken back: who does not know the value could not add it again.
    const proxyOnly = params.proxy_only ? { proxyOnly: true as const } : {}
    yield* secrets.update(params.name, { ...value, ...hook, ...description, ...proxyOnly })
    if (!keepsValue) yield* endStored([params.name])
    // The predecessor's reply has nothing more.
    const holders = keepsValue || !params.report_holders ? {} : yield* oldValueHolders(params.name)
    return succeeded(`secret ${quote(params.name)} updated successfully`, holders)
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
    const { name, report_runs } = yield* nameParams(raw)
    yield* required(name, "secret name")
    const runIds = yield* deleteSecret(name)
    return succeeded(`secret ${quote(name)} deleted successfully`, reached(report_runs, runIds))
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

  /** With `exposure`, beyond the predecessor, it names the values that are in the open and were never changed. */
  "secrets.health": Effect.fnUntraced(function* (raw: unknown) {
    const { exposure } = yield* Effect.orElseSucceed(healthParams(raw ?? {}), () => ({ exposure: false }))
    const { ttl } = yield* CurrentLimits
    const report = yield* checkHealth(ttl.default)
    return exposure ? { ...report, open_and_unchanged: yield* openAndUnchanged } : report
  }),

  /** Beyond the predecessor, like `restore`: the text of the store, for the owner alone. */
  "secrets.backup": Effect.fnUntraced(function* () {
    const { count, text } = yield* whileUnlocked(backupStore)
    return { document: text, count }
  }),

  "secrets.restore": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* restoreParams(raw)
    const options = { overwrite: params.overwrite, keepNewer: params.keep_newer, dryRun: params.dry_run }
    const restored = restoreStore(params.document, options)
    return yield* Effect.catchTag(restored, "NoStore", ({ message }) =>
      // Without the reason, which names secrets.
      Effect.fail(new RpcError({ tag: "InvalidParams", message, recorded: "this is no backup of a store" }))
    )
  }),

  /** Beyond the predecessor, like `unlock`. */
  "secrets.lock": Effect.fnUntraced(function* (raw: unknown) {
    // Nothing in a request may prevent a lock.
    const { report_runs } = yield* Effect.orElseSucceed(lockParams(raw ?? {}), () => ({ report_runs: false }))
    const { activeLeases, already, rotating, runIds, since } = yield* lockStore()
    const state = { locked: true, locked_since: since, already, rotating, active_leases: activeLeases }
    return { ...state, ...reached(report_runs, runIds) }
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

/** Returns what a client needs to know for the use of its secrets, and how many others there are. */
const listUsable = Effect.fnUntraced(function* ({ client_id, via }: Readonly<Record<"client_id" | "via", string>>) {
  const { hidden, usable } = yield* whileUnlocked(usableSecrets(client_id, via))
  return {
    secrets: usable.map(({ approval, rule, secret }) => ({
      name: secret.name,
      created_at: secret.createdAt.text,
      updated_at: secret.updatedAt.text,
      last_rotated: secret.lastRotated.text,
      description: secret.description || undefined,
      commands: rule?.commands,
      needs_reason: rule?.reason === true ? true : undefined,
      approval
    })),
    hidden
  }
})

/** How many active leases of a secret are shown. */
const shownLeases = 100

/** How much of the log a list may read: of a larger one the newest part. */
const listReading = { lines: Infinity, length: 16 * 1024 * 1024 }
const unread = { leases: new Map<string, LastLease>(), complete: false }

const refusedReasons = {
  AccessDenied: "this socket is not for that secret",
  SecretNotFound: "secret not found",
  StoreLocked: lockedReason,
  AuditLogError: "the leases could not be read"
} as const

/** Returns who still has the value from before a change: the leases that are active right after it. */
const oldValueHolders = Effect.fnUntraced(function* (name: string) {
  const leases = (yield* ownLeases).filter(({ secretName }) => secretName === name)
  const clients = [...new Set(leases.map(({ clientId }) => clientId))].slice(0, shownLeases)
  return leases.length === 0 ? {} : { leases_of_old_value: leases.length, clients_of_old_value: clients }
})

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
  readonly description: string
}) {
  yield* required(params.name, "secret name")
  yield* required(params.value, "secret value", valueLimit)
  yield* atMost(nameLimit, params.rotate_via, "rotate_via")
  yield* atMost(descriptionLimit, params.description, "description")
})
