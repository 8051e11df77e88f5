/**
 * Records what the worker reports at once: the first use of a route, refusals, and what is worth
 * an entry of its own. The worker waits for the entry, not for its success: a full disk stops
 * no run that is open, and the entry is written later.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import { proxyFirstUseFact, proxyNotableFact, proxyRefuseFact } from "../../domain/proxyFacts.ts"
import { type FromWorker, proxyRefusalCodes } from "../../domain/proxyMessages.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { SecretStore } from "../secrets/SecretStore.ts"
import type { ProxyRun } from "./ProxyRun.ts"

type Reported = Extract<FromWorker, { readonly type: "used" | "refused" | "notable" }>

/** Reports that wait; the worker sends few. */
const maxWaiting = 10_000
const maxPath = 200

export const makeProxyRecords = Effect.fnUntraced(function* (options: {
  readonly find: (run: string) => ProxyRun | undefined
  readonly record: (facts: ReadonlyArray<AuditFact>) => Effect.Effect<void>
  readonly answer: (id: number) => void
}) {
  const { answer, find, record } = options
  const secrets = yield* SecretStore
  const sink = yield* OtelSink
  const waiting = yield* Queue.dropping<Reported>(maxWaiting)

  const factOf = (report: Reported): AuditFact | undefined => {
    const proxyRun = report.run === undefined ? undefined : find(report.run)
    const route = proxyRun?.routes.find(({ name }) => name === report.route)
    if (report.type === "refused") {
      if (!proxyRefusalCodes.includes(report.code)) return undefined
      const path = shownPath(report.path, proxyRun)
      const method = /^[A-Z-]{1,20}$/.test(report.method) ? report.method : "(other method)"
      return proxyRefuseFact(proxyRun?.run, route, { code: report.code, count: Math.trunc(report.count), method, path })
    }
    if (proxyRun === undefined || route === undefined) return undefined
    return report.type === "used"
      ? proxyFirstUseFact(proxyRun.run, route)
      : proxyNotableFact(proxyRun.run, route, report.what)
  }

  /** Returns a path as entries have it: without what could be a token or a value. */
  const shownPath = (path: string, proxyRun: ProxyRun | undefined): string => {
    const plain = path.split(/[?#]/, 1)[0]?.replace(/[^\x20-\x7e]/g, "?") ?? ""
    const values = (proxyRun?.routes ?? []).flatMap(({ secret }) => {
      const found = secrets.get(secret)
      return Result.isSuccess(found) ? [Redacted.value(found.success.value)] : []
    })
    const holds = (text: string) =>
      /asp_[A-Za-z0-9_-]{8}/.test(text) || values.some((value) => value !== "" && text.includes(value))
    const segments = plain.split("/").map((segment) => (holds(segment) || holds(decoded(segment)) ? "…" : segment))
    const shown = segments.join("/")
    if (holds(shown) || holds(decoded(shown))) return "(not shown)"
    return shown.length > maxPath ? `${shown.slice(0, maxPath)}…` : shown
  }

  const eventOf = (report: Reported) => {
    const proxyRun = report.run === undefined ? undefined : find(report.run)
    if (report.type === "refused") {
      const { code: reason, count, route } = report
      const known = proxyRun?.routes.some(({ name }) => name === route) === true
      return OtelEvent.proxyRefused({
        ...(proxyRun !== undefined && { runId: proxyRun.run.id }),
        ...(known && route !== undefined && { route }),
        reason,
        count: Math.trunc(count)
      })
    }
    const isMasked = report.type === "notable" && report.what === "masked" && proxyRun !== undefined
    return isMasked ? OtelEvent.proxyMasked(proxyRun.run, report.route) : undefined
  }

  const recordNext = Effect.gen(function* () {
    const reports = yield* Queue.takeAll(waiting)
    const now = yield* Clock.currentTimeMillis
    for (const { run = "", route = "", type } of reports) if (type === "used") find(run)?.totals.markUsed(route, now)
    yield* record(reports.flatMap((report) => factOf(report) ?? []))
    for (const report of reports) {
      answer(report.id)
      const event = eventOf(report)
      if (event !== undefined) yield* sink.emit(event)
    }
  })
  yield* Effect.forkScoped(Effect.forever(recordNext))

  return { take: (report: Reported): void => void Queue.offerUnsafe(waiting, report) }
})

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
