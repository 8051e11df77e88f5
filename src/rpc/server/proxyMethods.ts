/**
 * The methods of the proxy: open a run, list the open ones, and judge a request without sending it.
 * No reply holds a value.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { CurrentCaller } from "../../daemon/audit/CurrentCaller.ts"
import { checkRoute } from "../../daemon/proxy/checkRoute.ts"
import { openProxyRun } from "../../daemon/proxy/openProxyRun.ts"
import { loadedProxy, Proxy } from "../../daemon/proxy/Proxy.ts"
import type { ProxyRun } from "../../daemon/proxy/ProxyRun.ts"
import { ownsRun } from "../../daemon/operations/runs.ts"
import { CurrentRoutes } from "../../daemon/operations/CurrentRoutes.ts"
import * as GoDuration from "../../domain/GoDuration.ts"
import { refusedCount } from "../../domain/proxyFacts.ts"
import { injectionText, upstreamText } from "../../domain/ProxyRoute.ts"
import { pathGlobProblem } from "../../domain/proxyRules.ts"
import { fromMillis } from "../../domain/Timestamp.ts"
import { maxReplyCount } from "../protocol/limits.ts"
import { RpcError } from "../protocol/Protocol.ts"
import { ConnectionState } from "../transport/Connections.ts"
import { originFields, readOrigin } from "./leaseOrigin.ts"
import { atMost, readParams, required } from "./params.ts"

const maxRoutes = 32
const routesLimit = 256 * 1024
const targetLimit = 64 * 1024

const openParams = readParams("ProxyOpenParams", {
  client_id: "string",
  routes: "string",
  connect_hash: "string",
  ttl: "string",
  pid: "number",
  ...originFields
})
const statusParams = readParams("ProxyStatusParams", { run_id: "string" })
const checkParams = readParams("ProxyCheckParams", {
  client_id: "string",
  route: "string",
  method: "string",
  path: "string"
})

const distinct = (texts: ReadonlyArray<string>): boolean => new Set(texts).size === texts.length

const hash = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))
const globs = Schema.optional(
  Schema.Array(
    Schema.String.check(
      Schema.isMaxLength(256),
      Schema.makeFilter((glob) => pathGlobProblem(glob) ?? true)
    )
  ).check(Schema.isMaxLength(100))
)
const decodeRoutes = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Array(
      Schema.Struct({
        name: Schema.String,
        token_hash: hash,
        methods: Schema.optional(Schema.Array(Schema.String.check(Schema.isPattern(/^[A-Z-]{1,31}$/)))),
        paths: globs,
        deny: globs
      })
    ).check(Schema.isMinLength(1), Schema.isMaxLength(maxRoutes))
  )
)

export const openProxy = Effect.fnUntraced(function* (raw: unknown) {
  const params = yield* openParams(raw)
  yield* required(params.client_id, "client_id")
  yield* required(params.routes, "routes", routesLimit)
  const routes = Option.getOrUndefined(decodeRoutes(params.routes))
  if (routes === undefined) {
    return yield* invalid(`routes is not a list of 1 to ${maxRoutes} routes with the hashes of their tokens`)
  }
  if (!distinct(routes.map(({ name }) => name))) return yield* invalid("a route is named twice")
  if (!distinct(routes.map(({ token_hash }) => token_hash))) return yield* invalid("two routes have the same token")
  if (params.connect_hash !== "" && !/^[0-9a-f]{64}$/.test(params.connect_hash)) {
    return yield* invalid("connect_hash is not a hash")
  }
  const ttl = params.ttl === "" ? Result.succeed(0n) : GoDuration.parseDuration(params.ttl)
  if (Result.isFailure(ttl) || (params.ttl !== "" && ttl.success <= 0n)) {
    return yield* new RpcError({ tag: "InvalidTtl", message: "invalid ttl duration" })
  }
  const proxy = yield* (yield* Proxy).load
  const caller = yield* CurrentCaller
  const opened = yield* openProxyRun(proxy, {
    clientId: params.client_id,
    routes: routes.map(({ token_hash: tokenHash, ...route }) => ({ ...route, tokenHash })),
    connectHash: params.connect_hash || undefined,
    ttl: params.ttl === "" ? undefined : ttl.success,
    origin: yield* readOrigin(params),
    pid: Number.isSafeInteger(params.pid) && params.pid > 0 ? params.pid : undefined,
    connection: yield* ConnectionState
  })
  return {
    run_id: opened.run.id,
    cursor: opened.cursor,
    socket: proxy.socketOf(caller.socket),
    expires_at: fromMillis(opened.expires).text,
    routes: opened.routes.map((route) => ({
      name: route.name,
      secret: route.secret,
      upstream: upstreamText(route.upstream),
      inject: route.inject,
      placeholder: route.placeholder,
      preset: route.preset,
      intercept: route.intercept,
      websocket: route.websocket
    })),
    ca: opened.ca
  }
})

/** Lists the caller's open runs, the newest first, with what the worker has counted up to now, and the routes. */
export const proxyStatus = Effect.fnUntraced(function* (raw: unknown) {
  const { run_id } = yield* statusParams(raw ?? {})
  const caller = yield* CurrentCaller
  const proxy = yield* loadedProxy
  if (proxy !== undefined) yield* proxy.refresh
  const own = (proxy?.all() ?? []).filter(({ run }) => ownsRun(caller, run) && (run_id === "" || run.id === run_id))
  const worker = proxy?.worker()
  const listed = own.slice(-maxReplyCount).toReversed()
  return {
    worker: worker === undefined ? undefined : { pid: worker.pid, since: fromMillis(worker.startedAt).text },
    runs: listed.map(describeRun),
    total: own.length,
    routes: (yield* CurrentRoutes).get().map(({ inject, name, preset, secret, upstream }) => ({
      name,
      secret,
      upstream: upstreamText(upstream),
      inject: injectionText(inject),
      preset
    }))
  }
})

const timeOf = (millis: number | undefined) => (millis === undefined ? undefined : fromMillis(Math.trunc(millis)).text)

const describeRun = ({ expires, routes, run, totals }: ProxyRun) => ({
  run_id: run.id,
  client_id: run.clientId,
  program: run.origin.program,
  pid: run.pid,
  begun_at: run.begunAt,
  expires_at: fromMillis(expires).text,
  routes: totals.all().map((one) => {
    const route = routes.find(({ name }) => name === one.route)
    return {
      name: one.route,
      secret: route?.secret ?? "",
      upstream: route === undefined ? "" : upstreamText(route.upstream),
      requests: one.requests,
      refused: refusedCount(one),
      in_flight: one.inFlight,
      bytes_in: one.bytesIn,
      bytes_out: one.bytesOut,
      masked: one.masked,
      statuses: one.statuses,
      refusals: one.refusals,
      unknown_ca: one.unknownCa,
      first_used: timeOf(one.firstUsed),
      last_used: timeOf(one.lastUsed)
    }
  })
})

export const checkProxy = Effect.fnUntraced(function* (raw: unknown) {
  const params = yield* checkParams(raw)
  yield* required(params.client_id, "client_id")
  yield* required(params.route, "route")
  yield* atMost(targetLimit, params.path, "path")
  const method = params.method === "" ? "GET" : params.method
  if (!/^[A-Za-z-]{1,31}$/.test(method)) return yield* invalid("method is not a method of HTTP")
  const { problem, route, verdict, warnings } = yield* checkRoute(
    params.route,
    params.client_id,
    method,
    params.path || undefined
  )
  return {
    route: route.name,
    secret: route.secret,
    upstream: upstreamText(route.upstream),
    inject: injectionText(route.inject),
    intercept: route.intercept,
    method: params.path === "" ? undefined : method,
    path: params.path || undefined,
    allowed: problem === undefined && (verdict === undefined || verdict.allowed),
    code: problem?.code ?? (verdict?.allowed === false ? verdict.code : undefined),
    why: problem?.why ?? (verdict?.allowed === false ? verdict.why : undefined),
    warnings
  }
})

const invalid = (reason: string) => new RpcError({ tag: "InvalidParams", message: `invalid parameters: ${reason}` })
