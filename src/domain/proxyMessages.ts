/**
 * What the daemon and the worker of the proxy say to each other, through an IPC channel that only
 * these two processes have. Values go one way, to the worker, and only those of open runs.
 */
import { createHash } from "node:crypto"
import type { ProxyRoute } from "./ProxyRoute.ts"
import type { RouteRules } from "./proxyRules.ts"

/** Why a request is refused: the code of the answer, and the key of the counts. */
export const proxyRefusalCodes = [
  "request",
  "cleartext",
  "browser",
  "no_token",
  "connect",
  "authenticate",
  "host",
  "route",
  "run_ended",
  "foreign_credential",
  "method",
  "path",
  "body",
  "busy",
  "address",
  "upstream",
  "encoding"
] as const
export type ProxyRefusalCode = (typeof proxyRefusalCodes)[number]

/** What has an audit entry of its own, at once. */
export type ProxyNotable = "masked" | "foreign_credential" | "address" | "unknown_ca"

/** A route of an open run. */
export interface OpenRoute extends ProxyRoute {
  readonly value: string
  /** The hash of its token, which stands after the placeholder. */
  readonly tokenHash: string
  /** The rules of the user, and those of the project. */
  readonly rules: ReadonlyArray<RouteRules>
  /** The contents of the file `ca`. */
  readonly caPem: string | undefined
}

export interface OpenedRun {
  readonly run: string
  readonly client: string
  /** When the first of its leases expires, in milliseconds. */
  readonly expires: number
  readonly routes: ReadonlyArray<OpenRoute>
  /** The hash of the token for CONNECT. */
  readonly connectHash: string | undefined
}

/** What a route has carried since its run was opened. Times are in milliseconds. */
export interface RouteTotals {
  readonly route: string
  readonly requests: number
  readonly inFlight: number
  /** Answers by the first digit of their status: "2xx". */
  readonly statuses: Readonly<Record<string, number>>
  readonly refusals: Readonly<Partial<Record<ProxyRefusalCode, number>>>
  readonly bytesIn: number
  readonly bytesOut: number
  /** Values that were masked in answers. */
  readonly masked: number
  /** Clients that did not accept the CA of the run. */
  readonly unknownCa: number
  readonly firstUsed: number | undefined
  readonly lastUsed: number | undefined
  /** The sum of the times to the first byte of an answer, in milliseconds, and their number. */
  readonly firstByte: { readonly sum: number; readonly count: number }
}

export type Totals = ReadonlyArray<RouteTotals>

export type ToWorker =
  | { readonly type: "listen"; readonly paths: ReadonlyArray<string> }
  | ({ readonly type: "open" } & OpenedRun)
  | { readonly type: "value"; readonly secret: string; readonly value: string }
  | { readonly type: "close"; readonly run: string; readonly why: string }
  | { readonly type: "recorded"; readonly id: number }
  | { readonly type: "report"; readonly id: number }

export type FromWorker =
  | { readonly type: "ready" }
  | { readonly type: "listening" }
  | { readonly type: "failed"; readonly reason: string }
  | { readonly type: "opened"; readonly run: string; readonly ca?: string | undefined }
  /** An open that cannot be: a value with a line break for a header, or a bad certificate. */
  | { readonly type: "rejected"; readonly run: string; readonly why: string }
  | { readonly type: "closed"; readonly run: string; readonly totals: Totals }
  | { readonly type: "totals"; readonly run: string; readonly totals: Totals }
  | {
      readonly type: "reported"
      readonly id: number
      readonly runs: ReadonlyArray<{ readonly run: string; readonly totals: Totals }>
    }
  | { readonly type: "used"; readonly id: number; readonly run: string; readonly route: string }
  | ProxyRefusal
  | {
      readonly type: "notable"
      readonly id: number
      readonly run: string
      readonly route: string
      readonly what: ProxyNotable
      /** The host whose certificate a client did not accept. */
      readonly host?: string | undefined
    }

export interface ProxyRefusal {
  readonly type: "refused"
  readonly id: number
  /** Undefined where the request names no run. */
  readonly run?: string | undefined
  readonly route?: string | undefined
  readonly code: ProxyRefusalCode
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** How many there were since the last message about this code. */
  readonly count: number
}

export const noTotals = (route: string): RouteTotals => ({
  route,
  requests: 0,
  inFlight: 0,
  statuses: {},
  refusals: {},
  bytesIn: 0,
  bytesOut: 0,
  masked: 0,
  unknownCa: 0,
  firstUsed: undefined,
  lastUsed: undefined,
  firstByte: { sum: 0, count: 0 }
})

/** Returns the name of a token that the daemon and the worker know it by. */
export const proxyTokenHash = (token: string): string => createHash("sha256").update(token).digest("hex")
