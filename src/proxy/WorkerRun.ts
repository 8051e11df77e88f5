/**
 * An open run: its routes with their values and connections, its masks, and everything of it that is in
 * flight. Closing it cuts all of that at once.
 */
import type { OpenedRun, OpenRoute, Totals } from "../domain/proxyMessages.ts"
import { makeRequestJudge } from "../domain/proxyRules.ts"
import type { CertificateAuthority } from "./certificateAuthority.ts"
import { RouteCounts, wallClock } from "./RouteCounts.ts"
import { RunMasks, sentValue } from "./RunMasks.ts"
import { connectUpstream, type Resolve, type UpstreamPool } from "./upstream.ts"

export interface WorkerRoute {
  readonly run: WorkerRun
  readonly route: OpenRoute
  readonly judge: ReturnType<typeof makeRequestJudge>
  readonly counts: RouteCounts
  /** What is put into the slot. */
  value: string
  /** The connections, from the first request on. */
  upstream: UpstreamPool | undefined
  /** Settles when the first use of the route is recorded. */
  recorded: Promise<void> | true | undefined
  /** What was reported of the route. */
  readonly noted: Set<string>
}

export interface RunOptions {
  readonly resolve: Resolve | undefined
  readonly onChange: (run: WorkerRun) => void
  readonly authority: CertificateAuthority | undefined
}

export class WorkerRun {
  readonly id: string
  readonly connectHash: string | undefined
  readonly routes: ReadonlyArray<WorkerRoute>
  readonly authority: CertificateAuthority | undefined
  readonly masks = new RunMasks()
  /** How many requests have no whole answer yet. */
  inFlight = 0
  private isClosed = false
  private readonly expires: number
  private readonly cuts = new Set<() => void>()
  private readonly resolve: Resolve | undefined

  constructor(opened: OpenedRun, { authority, onChange, resolve }: RunOptions) {
    this.id = opened.run
    this.connectHash = opened.connectHash
    this.expires = opened.expires
    this.authority = authority
    this.resolve = resolve
    this.routes = opened.routes.map((route) => ({
      run: this,
      route,
      judge: makeRequestJudge(route.rules),
      counts: new RouteCounts(route.name, () => onChange(this)),
      value: sentValue(route.value),
      upstream: undefined,
      recorded: undefined,
      noted: new Set()
    }))
    this.setMasks()
  }

  get isOver(): boolean {
    return this.isClosed || wallClock() >= this.expires
  }

  /** Puts a new value of a secret into requests from now on. */
  setValue(secret: string, value: string): void {
    for (const one of this.routes) if (one.route.secret === secret) one.value = sentValue(value)
    this.setMasks()
  }

  poolOf(one: WorkerRoute): UpstreamPool {
    return (one.upstream ??= connectUpstream(one.route, this.resolve))
  }

  /** Registers what closing the run does to something in flight, and returns what takes it back. */
  onClose(cut: () => void): () => void {
    this.cuts.add(cut)
    return () => void this.cuts.delete(cut)
  }

  close(): void {
    this.isClosed = true
    for (const cut of this.cuts) cut()
    this.cuts.clear()
    for (const one of this.routes) {
      void one.upstream?.pool.destroy().catch(() => undefined)
      one.value = ""
    }
  }

  totals(): Totals {
    return this.routes.map(({ counts }) => counts.snapshot())
  }

  private setMasks(): void {
    this.masks.setValues(this.routes.map(({ route, value }) => ({ inject: route.inject, value })))
  }
}
