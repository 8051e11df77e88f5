/**
 * The methods of the socket: parameters in, the daemon's answer out, in the
 * members and the order of the protocol specification, section 4.
 *
 * Nothing is decided here. A method reads its parameters, runs one program of the
 * daemon and lays its result out for the wire; `errorReply` names the refusals.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { acquire } from "../../daemon/operations/acquire.ts"
import { AuditLog } from "../../daemon/audit/AuditLog.ts"
import { deleteSecret } from "../../daemon/operations/deleteSecret.ts"
import { LeaseRepo } from "../../daemon/leases/LeaseRepo.ts"
import { revokeLease } from "../../daemon/operations/revoke.ts"
import { checkHealth } from "../../daemon/operations/health.ts"
import { sampleGauges } from "../../daemon/lifecycle/sampleGauges.ts"
import { killswitch } from "../../daemon/operations/killswitch.ts"
import { listFingerprints, identifyValues } from "../../daemon/operations/identifyValues.ts"
import { Restart } from "../../daemon/lifecycle/Restart.ts"
import { revokeAllLeases } from "../../daemon/operations/revokeAll.ts"
import { revokeMatchingLeases } from "../../daemon/operations/revokeMatching.ts"
import { rotateSecret } from "../../daemon/operations/rotate.ts"
import type { RotationHook } from "../../daemon/secrets/RotationHook.ts"
import { SecretStore } from "../../daemon/secrets/SecretStore.ts"
import { diagnostics, daemonStatus } from "../../daemon/operations/status.ts"
import * as GoDuration from "../../domain/GoDuration.ts"
import { quote } from "../../domain/goText.ts"
import { refusedFact, getFact, initFact } from "../../domain/AuditEntry.ts"
import { DirectAccess, nameLimit, valueLimit } from "../../domain/Secret.ts"
import type { Timestamp } from "../../domain/Timestamp.ts"
import type { TtlPolicy } from "../../domain/Ttl.ts"
import { build, version } from "../../version.ts"
import { prometheusText } from "../../otel/metrics.ts"
import type { OtelSink } from "../../otel/OtelSink.ts"
import type { MethodError } from "./errorReply.ts"
import { auditMethod, leasesMethod } from "./lookups.ts"
import { RpcError } from "../protocol/Protocol.ts"
import { atMost, booleanParam, readParams, required, stringParam } from "./params.ts"

/** What the methods know of the daemon beside its services. */
export interface Running {
  readonly pid: number
  readonly startedAt: Timestamp
  readonly ttlPolicy: TtlPolicy
  readonly leaseCapacity: number
  /** What status says of the heartbeat; undefined if there is none. */
  readonly heartbeat: Effect.Effect<object | undefined>
  /** The starts after runs that did not end in order; undefined if there were none lately. */
  readonly uncleanStarts: Effect.Effect<object | undefined>
}

/** No duration of any use is longer. */
const durationLimit = 256

/** What one request may ask about: base64 of the texts, with commas between them. */
const textsLimit = 256 * 1024
const maxTexts = 1000

const done = (message: string, more: object = {}) => ({ success: true, ...more, message })

const addParams = readParams("AddParams", {
  name: stringParam,
  value: stringParam,
  rotate_via: stringParam,
  rotate_stdout: booleanParam
})
const nameParams = readParams("DeleteParams", { name: stringParam })
const leaseParams = readParams("LeaseParams", { secret_name: stringParam, client_id: stringParam, ttl: stringParam })
const updateParams = readParams("UpdateParams", {
  name: stringParam,
  value: stringParam,
  rotate_via: stringParam,
  rotate_via_set: booleanParam,
  rotate_stdout: booleanParam
})
const rotateParams = readParams("RotateParams", { secret_name: stringParam })
const killswitchParams = readParams("KillswitchParams", { rotate_all: booleanParam, wipe_store: booleanParam })
const marksParams = readParams("MarksParams", { client_id: stringParam })
const recognizeParams = readParams("RecognizeParams", { client_id: stringParam, texts: stringParam })
const revokeParams = readParams("RevokeParams", { lease_id: stringParam })
const matchingParams = readParams("RevokeMatchingParams", { client_id: stringParam, secret_name: stringParam })

/** The services that methods work with. */
export type Services = SecretStore | LeaseRepo | AuditLog | OtelSink | RotationHook | Restart

export type Method = (params: unknown) => Effect.Effect<unknown, MethodError, Services>

/** By name. */
export const methods = (daemon: Running): Readonly<Record<string, Method>> => ({
  "secrets.status": Effect.fnUntraced(function* () {
    const now = yield* daemonStatus
    return {
      running: true,
      started_at: daemon.startedAt.text,
      secrets_count: now.secretCount,
      active_leases: now.activeLeases,
      heartbeat: yield* daemon.heartbeat,
      store_state: now.storeState
    }
  }),

  /** The store is there from the start, so there is nothing to do; it never empties one. */
  "secrets.init": Effect.fnUntraced(function* () {
    const audit = yield* AuditLog
    yield* audit.append([initFact("there is a store already; nothing was changed")])
    return done("store initialized successfully")
  }),

  "secrets.list": Effect.fnUntraced(function* () {
    const secrets = yield* SecretStore
    const leases = yield* LeaseRepo
    return {
      secrets: yield* Effect.forEach(yield* secrets.list, (secret) =>
        Effect.map(leases.activeCountOfSecret(secret.name), (activeLeases) => ({
          name: secret.name,
          created_at: secret.createdAt.text,
          updated_at: secret.updatedAt.text,
          rotate_via: secret.rotateVia === "" ? undefined : secret.rotateVia,
          last_rotated: secret.lastRotated.text,
          active_leases: activeLeases
        }))
      )
    }
  }),

  "secrets.add": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* addParams(raw)
    yield* required(params.name, "secret name")
    yield* required(params.value, "secret value", valueLimit)
    yield* atMost(nameLimit, params.rotate_via, "rotate_via")
    const secrets = yield* SecretStore
    yield* secrets.add({
      name: params.name,
      value: Redacted.make(params.value),
      rotateVia: params.rotate_via,
      rotateStdout: params.rotate_stdout
    })
    return done(`secret ${quote(params.name)} added successfully`)
  }),

  "secrets.update": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* updateParams(raw)
    yield* required(params.name, "secret name")
    yield* required(params.value, "secret value", valueLimit)
    yield* atMost(nameLimit, params.rotate_via, "rotate_via")
    const secrets = yield* SecretStore
    const hook = params.rotate_via_set ? { rotateVia: params.rotate_via, rotateStdout: params.rotate_stdout } : {}
    yield* secrets.update(params.name, { value: Redacted.make(params.value), ...hook })
    return done(`secret ${quote(params.name)} updated successfully`)
  }),

  "secrets.get": Effect.fnUntraced(function* (raw: unknown) {
    const audit = yield* AuditLog
    const { name } = yield* Effect.orElseSucceed(nameParams(raw ?? {}), () => ({ name: "" }))
    const refusal = new DirectAccess()
    yield* Effect.ignore(
      audit.append([refusedFact(getFact(name.slice(0, nameLimit)), "direct secret access not allowed")])
    )
    return yield* refusal
  }),

  "secrets.delete": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* nameParams(raw)
    yield* required(params.name, "secret name")
    yield* deleteSecret(params.name)
    return done(`secret ${quote(params.name)} deleted successfully`)
  }),

  "secrets.lease": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* leaseParams(raw)
    yield* required(params.secret_name, "secret_name")
    yield* required(params.client_id, "client_id")
    yield* atMost(durationLimit, params.ttl, "ttl")
    const ttl = params.ttl === "" ? Result.succeed(0n) : GoDuration.parseDuration(params.ttl)
    if (Result.isFailure(ttl)) {
      return yield* new RpcError({
        tag: "InvalidTtl",
        message: `invalid ttl duration: ${ttl.failure}`,
        recorded: "invalid ttl duration"
      })
    }
    const request = { secretName: params.secret_name, clientId: params.client_id, ttl: ttl.success }
    const { lease, value } = yield* acquire(request, daemon.ttlPolicy, daemon.leaseCapacity)
    return { lease_id: lease.id, value: Redacted.value(value), expires_at: lease.expiresAt.text }
  }),

  "secrets.revoke": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* revokeParams(raw)
    yield* required(params.lease_id, "lease_id")
    yield* revokeLease(params.lease_id)
    return done(`lease ${quote(params.lease_id)} revoked successfully`)
  }),

  /** Beyond the predecessor. To end all leases is another method's work, so one of the two must be said. */
  "secrets.revokeMatching": Effect.fnUntraced(function* (raw: unknown) {
    const { client_id, secret_name } = yield* matchingParams(raw)
    yield* required(client_id === "" ? secret_name : client_id, "client_id or secret_name")
    yield* atMost(nameLimit, secret_name, "secret_name")
    const revoked = yield* revokeMatchingLeases({
      clientId: client_id || undefined,
      secretName: secret_name || undefined
    })
    return done(`${revoked.length} active leases revoked`, { leases_revoked: revoked.length })
  }),

  "secrets.revokeAll": Effect.fnUntraced(function* () {
    const count = yield* revokeAllLeases()
    return done(`all ${count} active leases revoked`, { leases_revoked: count })
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

  /** Beyond the predecessor's revokeAll: the report is a result also where a step failed. */
  "secrets.killswitch": Effect.fnUntraced(function* (raw: unknown) {
    const { rotate_all, wipe_store } = yield* killswitchParams(raw ?? {})
    const report = yield* killswitch({ revokeAll: true, rotateAll: rotate_all, wipeStore: wipe_store })
    return {
      success: report.failures.length === 0,
      leases_revoked: report.leasesRevoked,
      rotated: report.rotated,
      secrets_wiped: report.secretsWiped,
      failures: report.failures
    }
  }),

  /** Beyond the predecessor: what `secrets.recognize` can be asked about. */
  "secrets.marks": Effect.fnUntraced(function* (raw: unknown) {
    const { client_id } = yield* marksParams(raw)
    yield* required(client_id, "client_id")
    const given = yield* listFingerprints(client_id)
    return {
      multiplier: given.multiplier,
      marks: given.fingerprints.map(({ end, length, middle }) => [length, middle, end]),
      values: given.values,
      too_short: given.tooShort,
      left_out: given.omitted
    }
  }),

  /** Beyond the predecessor: the names of the secrets that texts are, each text in base64. */
  "secrets.recognize": Effect.fnUntraced(function* (raw: unknown) {
    const { client_id, texts } = yield* recognizeParams(raw)
    yield* required(client_id, "client_id")
    yield* required(texts, "texts", textsLimit)
    const given = texts.split(",", maxTexts + 1)
    if (given.length > maxTexts) {
      return yield* new RpcError({ tag: "InvalidParams", message: `more than ${maxTexts} texts were given` })
    }
    const names = yield* identifyValues(
      client_id,
      given.map((text) => Buffer.from(text, "base64"))
    )
    return { names }
  }),

  "secrets.health": () => checkHealth,

  /** Beyond the predecessor's status, whose members stay as they are. */
  "daemon.status": Effect.fnUntraced(function* () {
    const { activeLeases, audit, expiredLeases, oldestLease, sinks, unreadableLeases } = yield* diagnostics
    return {
      pid: daemon.pid,
      version,
      build,
      started_at: daemon.startedAt.text,
      uptime_ms: (yield* Clock.currentTimeMillis) - daemon.startedAt.millis,
      leases: {
        active: activeLeases,
        expired: expiredLeases,
        unreadable: unreadableLeases,
        capacity: daemon.leaseCapacity,
        oldest: oldestLease?.text
      },
      audit: { entries: audit.seq, size: audit.size, archives: audit.archives, failure: audit.failure },
      sinks: sinks.map(({ dropped, kind, lastFailure, queued, sent, target }) => ({
        kind,
        target,
        sent,
        dropped,
        queued,
        last_failure: lastFailure
      })),
      unclean_starts: yield* daemon.uncleanStarts
    }
  }),

  /** Beyond the predecessor. */
  "daemon.metrics": Effect.fnUntraced(function* () {
    yield* sampleGauges
    return { text: yield* prometheusText }
  }),

  "daemon.restart": Effect.fnUntraced(function* () {
    const restart = yield* Restart
    yield* restart.request
    return { accepted: true, message: "restart accepted; the supervisor will start a fresh daemon" }
  }),

  "secrets.leases": leasesMethod,
  "secrets.audit": auditMethod
})
