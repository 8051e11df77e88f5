/**
 * A run of the proxy: a program that may use routes, and gets no value.
 */
import type * as Deferred from "effect/Deferred"
import type { OpenRoute } from "../../domain/proxyMessages.ts"
import type { Run } from "../runs/RunTable.ts"
import type { ProxyTotals } from "./proxyTotals.ts"
import type { ProxyUnavailable } from "./WorkerProcess.ts"

/** A route of a run, without its value. */
export type RunRoute = Omit<OpenRoute, "value">

export interface ProxyRun {
  readonly run: Run
  readonly routes: ReadonlyArray<RunRoute>
  readonly connectHash: string | undefined
  /** When the first of its leases expires, in milliseconds. */
  readonly expires: number
  readonly totals: ProxyTotals
  readonly opened: Deferred.Deferred<string | undefined, ProxyUnavailable>
  readonly closed: Deferred.Deferred<void>
  /** Completes when the end is recorded. */
  readonly ended: Deferred.Deferred<void>
  /** "new" until the worker has it. */
  state: "new" | "open" | "closing"
}
