/**
 * What the worker tells the daemon: first uses, refusals and what is notable, which wait until the daemon has
 * recorded them, and counts, which do not.
 */
import { setTimeout } from "node:timers"
import type { FromWorker, ProxyNotable, ProxyRefusalCode } from "../domain/proxyMessages.ts"
import type { WorkerRun, WorkerRoute } from "./WorkerRun.ts"
import { tokenIn } from "./slots.ts"

/** A daemon that does not answer holds no request up for longer. */
const recordTimeout = 1000
/** Refusals of one kind are reported once in this time. */
const refusalPeriod = 60_000
const totalsPeriod = 1000
const maxPathLength = 200

export interface RefusedRequest {
  readonly run: WorkerRun | undefined
  readonly one: WorkerRoute | undefined
  readonly code: ProxyRefusalCode
  readonly method: string
  readonly path: string
}

export class Reports {
  private readonly send: (message: FromWorker) => void
  private nextId = 1
  private readonly waiting = new Map<number, () => void>()
  private readonly refusals = new Map<string, { since: number; count: number }>()
  private readonly changed = new Set<WorkerRun>()
  private timer: NodeJS.Timeout | undefined

  constructor(send: (message: FromWorker) => void) {
    this.send = send
  }

  /** Takes the word of the daemon that something is recorded. */
  recorded(id: number): void {
    this.waiting.get(id)?.()
  }

  /** Reports the first use of a route, once. */
  used(one: WorkerRoute): Promise<void> | true {
    one.recorded ??= this.whenRecorded((id) => ({ type: "used", id, run: one.run.id, route: one.route.name })).then(
      () => void (one.recorded = true)
    )
    return one.recorded
  }

  /** Reports a refusal, or counts it; the first of a kind waits. */
  refused({ code, method, one, path, run }: RefusedRequest): Promise<void> | undefined {
    one?.counts.refuse(code)
    const key = JSON.stringify([run?.id, one?.route.name, code])
    const known = this.refusals.get(key)
    const now = performance.now()
    if (known !== undefined && now - known.since < refusalPeriod) {
      known.count += 1
      return undefined
    }
    this.refusals.set(key, { since: now, count: 0 })
    const done = this.whenRecorded((id) => ({
      type: "refused",
      id,
      run: run?.id,
      route: one?.route.name,
      code,
      method,
      path: shownPath(path, run),
      count: (known?.count ?? 0) + 1
    }))
    return known === undefined ? done : undefined
  }

  /** Reports what is notable of a route, once for each kind. */
  noted(one: WorkerRoute, what: ProxyNotable, host?: string): void {
    const key = `${what} ${host ?? ""}`
    if (one.noted.has(key)) return
    one.noted.add(key)
    void this.whenRecorded((id) => ({ type: "notable", id, run: one.run.id, route: one.route.name, what, host }))
  }

  /** Reports the counts of a run, soon. */
  change(run: WorkerRun): void {
    this.changed.add(run)
    this.timer ??= setTimeout(() => {
      this.timer = undefined
      for (const one of this.changed) {
        if (!one.isOver) this.send({ type: "totals", run: one.id, totals: one.totals() })
      }
      this.changed.clear()
    }, totalsPeriod).unref()
  }

  /** Forgets a run that is closed. */
  forget(run: WorkerRun): void {
    this.changed.delete(run)
    const prefix = `[${JSON.stringify(run.id)},`
    for (const key of this.refusals.keys()) if (key.startsWith(prefix)) this.refusals.delete(key)
  }

  private whenRecorded(message: (id: number) => FromWorker): Promise<void> {
    const id = this.nextId
    this.nextId += 1
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.waiting.delete(id)
        resolve()
      }
      const timer = setTimeout(done, recordTimeout)
      this.waiting.set(id, done)
      this.send(message(id))
    })
  }
}

/** Returns a path for a log: without the query, and without segments that hold a token or a value. */
export const shownPath = (target: string, run: WorkerRun | undefined): string => {
  const [path = ""] = target.split(/[?#]/, 1)
  const segments = path.split("/").map((segment) => (tokenIn(segment) === undefined ? segment : "*"))
  const text = segments.join("/").replaceAll(/[^\x21-\x7e]/g, "?")
  return (run === undefined ? text : run.masks.text(text)).slice(0, maxPathLength)
}
