/**
 * secrets proxy: the programs that use credentials through the proxy now, its routes, and what the
 * rules of a route say about a request.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { call } from "../../../rpc/client/client.ts"
import { optional, type Shaped } from "../../../domain/shape.ts"
import { type ArgsOf, defineCommand } from "../../command/Command.ts"
import { CommandError, failUsage, fromClient } from "../../command/CommandError.ts"
import { loadClientId, loadDaemon } from "../../command/settings.ts"
import { printsToTerminal } from "../../terminal/isInteractive.ts"
import { table } from "../../terminal/table.ts"
import { ageOf, shortId } from "../../terminal/times.ts"

const countedRoute = {
  name: "",
  secret: "",
  upstream: "",
  requests: 0,
  refused: 0,
  in_flight: 0,
  bytes_in: 0,
  bytes_out: 0,
  masked: 0,
  unknown_ca: 0,
  last_used: optional("")
}
const statusOfProxy = {
  worker: optional({ pid: optional(0), since: "" }),
  runs: [
    {
      run_id: "",
      client_id: "",
      program: optional(""),
      pid: optional(0),
      begun_at: "",
      expires_at: "",
      routes: [countedRoute]
    }
  ],
  total: 0,
  routes: [{ name: "", secret: "", upstream: "", inject: "", preset: optional("") }]
}
type ProxyStatus = Shaped<typeof statusOfProxy>

const checkedExample = {
  route: "",
  secret: "",
  upstream: "",
  inject: "",
  intercept: false,
  method: optional(""),
  path: optional(""),
  allowed: true,
  code: optional(""),
  why: optional(""),
  warnings: [""]
}

const flags = {
  "client-id": { type: "string", value: "ID", summary: "check: the client that asks", completes: "client" }
} as const
type ProxyArgs = ArgsOf<typeof flags>

export const proxyCommand = defineCommand({
  name: "proxy",
  summary: "Show what uses secrets through the proxy, or check a request against a route",
  positionals: "[check ROUTE [METHOD PATH]]",
  arity: [0, 4],
  completes: ["check"],
  completesNext: "route",
  flags,
  examples: [
    "secrets proxy",
    "secrets proxy --json",
    "secrets proxy check github",
    "secrets proxy check github POST /repos/me/app/issues"
  ],
  about: [
    "secrets exec --proxy ROUTE gives a program a placeholder; a worker of the daemon has the value and sends the request.",
    "The routes are in config.json under proxy. The daemon reads them at its start and at SIGHUP.",
    "check sends nothing. It prints what the rules say, and its exit status is 1 if the request would be refused."
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    const [subcommand, ...rest] = args.positionals
    if (subcommand === undefined) return yield* show(args)
    if (subcommand === "check") return yield* check(args, rest)
    return yield* failUsage(`unknown subcommand ${JSON.stringify(subcommand)}`, "See: secrets proxy --help")
  })
})

const show = Effect.fnUntraced(function* (args: ProxyArgs) {
  const daemon = yield* loadDaemon(args)
  const status = yield* Effect.mapError(call(daemon, "proxy.status", {}, statusOfProxy), fromClient)
  return { lines: describeProxy(status, yield* Clock.currentTimeMillis), result: status }
})

const describeProxy = ({ routes, runs, total, worker }: ProxyStatus, now: number): ReadonlyArray<string> => {
  if (routes.length === 0) return ["config.json has no routes; see docs/proxy.md"]
  const rows = runs.flatMap(({ client_id, routes: used, run_id }) =>
    used.map((one) => [
      printsToTerminal() ? shortId(run_id) : run_id,
      client_id,
      one.name,
      `${one.requests}`,
      `${one.refused}`,
      one.last_used === undefined ? "never" : `${ageOf(one.last_used, now)} ago`
    ])
  )
  const open =
    rows.length === 0
      ? ["no program uses the proxy"]
      : table(["RUN", "CLIENT", "ROUTE", "REQUESTS", "REFUSED", "LAST USED"], rows, {
          whole: ["RUN", "ROUTE", "REQUESTS", "REFUSED", "LAST USED"]
        })
  const left = total - runs.length
  return [
    ...open,
    ...(left === 0 ? [] : [`${counted(left, "older run", "is")} not shown`]),
    ...(worker?.pid === undefined ? [] : [`worker: process ${worker.pid}`]),
    "",
    ...table(
      ["ROUTE", "SECRET", "UPSTREAM", "AS"],
      routes.map(({ inject, name, secret, upstream }) => [name, secret, upstream, inject]),
      { whole: ["ROUTE", "UPSTREAM", "AS"] }
    )
  ]
}

const check = Effect.fnUntraced(function* (args: ProxyArgs, given: ReadonlyArray<string>) {
  const [route, method, path, ...more] = given
  const example = "For example: secrets proxy check github GET /user"
  if (route === undefined) return yield* failUsage("check has no route", example)
  if (more.length > 0 || (method !== undefined && path === undefined))
    return yield* failUsage("check takes a route alone, or with a method and a path", example)
  const asked = { route, method, path, client_id: args.option("client-id") ?? (yield* loadClientId(args)) }
  const daemon = yield* loadDaemon(args)
  const said = yield* Effect.mapError(call(daemon, "proxy.check", asked, checkedExample), fromClient)
  if (!said.allowed) {
    return yield* new CommandError({
      message: `${escapeValue(route)} would refuse it: ${said.why ?? ""}`,
      code: said.code ?? "generic_error",
      fix: "See the rules of the route in config.json, under proxy.routes",
      exitStatus: exitStatus.failed
    })
  }
  const request = method === undefined ? "" : `: ${method} ${path ?? ""} would be sent to ${said.upstream}`
  return {
    lines: [
      `${route} may be used${request}`,
      `secret    ${said.secret}`,
      `upstream  ${said.upstream}`,
      `as        ${said.inject}`,
      ...said.warnings.map((warning) => `warning   ${warning}`)
    ].map(escapeValue),
    result: said
  }
})
