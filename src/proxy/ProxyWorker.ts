/**
 * The worker of the proxy: the runs that are open, the connections of their programs, and what the
 * daemon says about them. It has the values of these runs and connects to the upstreams of their routes, and to nothing else.
 */
import type { IncomingMessage, Server } from "node:http"
import type { Duplex } from "node:stream"
import type { Server as TlsServer } from "node:tls"
import { type FromWorker, type OpenedRun, proxyTokenHash, type ToWorker } from "../domain/proxyMessages.ts"
import { admit } from "./admit.ts"
import { makeCertificateAuthority } from "./certificateAuthority.ts"
import { type DoorHandlers, type DoorRequest, endWith, interceptedDoor, plainDoor } from "./doors.ts"
import { exchange, tooLarge } from "./Exchange.ts"
import { WorkerRun, type WorkerRoute } from "./WorkerRun.ts"
import { Refusal, sendRefusal } from "./refusals.ts"
import { type RefusedRequest, Reports } from "./Reports.ts"
import { wallClock } from "./RouteCounts.ts"
import { basicCredentials, pairsOf, tokenIn } from "./slots.ts"
import type { Resolve } from "./upstream.ts"

/** How many tokens of runs that ended are known, so that a client is told why it is refused. */
const maxEnded = 4096

export interface ProxyWorkerOptions {
  readonly send: (message: FromWorker) => void
  /** Looks names of upstreams up; tests have another one. */
  readonly resolve?: Resolve
}

export class ProxyWorker implements DoorHandlers {
  private readonly send: (message: FromWorker) => void
  private readonly resolve: Resolve | undefined
  private readonly reports: Reports
  private readonly runs = new Map<string, WorkerRun>()
  private readonly tokens = new Map<string, WorkerRoute>()
  private readonly tunnels = new Map<string, WorkerRun>()
  private readonly ended = new Set<string>()
  private readonly hostDoors = new Map<WorkerRun, Map<string, TlsServer>>()
  private listeners: ReadonlyArray<Server> = []

  constructor({ resolve, send }: ProxyWorkerOptions) {
    this.send = send
    this.resolve = resolve
    this.reports = new Reports(send)
  }

  /** Does what the daemon says. */
  receive(message: ToWorker): void {
    switch (message.type) {
      case "listen":
        return this.listen(message.paths)
      case "open":
        try {
          return this.open(message)
        } catch {
          // What a library says may hold a value.
          return this.send({ type: "rejected", run: message.run, why: "a value or a certificate of it cannot be used" })
        }
      case "value":
        for (const run of this.runs.values()) run.setValue(message.secret, message.value)
        return
      case "close":
        return this.close(message.run)
      case "recorded":
        return this.reports.recorded(message.id)
      case "report": {
        const runs = [...this.runs.values()].map((run) => ({ run: run.id, totals: run.totals() }))
        return this.send({ type: "reported", id: message.id, runs })
      }
    }
  }

  /** Stops listening. */
  stopListening(): void {
    for (const listener of this.listeners) listener.close()
    this.listeners = []
  }

  private listen(paths: ReadonlyArray<string>): void {
    this.stopListening()
    this.listeners = paths.map(() => plainDoor(this))
    let left = paths.length
    for (const [at, listener] of this.listeners.entries()) {
      listener.on("error", (error) => {
        const code = "code" in error ? String(error.code) : "unknown"
        this.send({ type: "failed", reason: code })
      })
      listener.listen(paths[at], () => {
        left -= 1
        if (left === 0) this.send({ type: "listening" })
      })
    }
  }

  private open(opened: OpenedRun): void {
    const hosts = [...new Set(opened.routes.flatMap(({ intercept, upstream }) => (intercept ? [upstream.host] : [])))]
    const authority = hosts.length === 0 ? undefined : makeCertificateAuthority(hosts, wallClock(), opened.expires)
    const run = new WorkerRun(opened, {
      authority,
      resolve: this.resolve,
      onChange: (changed) => this.reports.change(changed)
    })
    this.runs.set(run.id, run)
    for (const one of run.routes) this.tokens.set(one.route.tokenHash, one)
    if (run.connectHash !== undefined) this.tunnels.set(run.connectHash, run)
    this.send({ type: "opened", run: run.id, ca: authority?.pem })
  }

  private close(id: string): void {
    const run = this.runs.get(id)
    if (run !== undefined) {
      run.close()
      this.runs.delete(id)
      this.hostDoors.delete(run)
      this.reports.forget(run)
      for (const { route } of run.routes) this.endToken(route.tokenHash, run)
      if (run.connectHash !== undefined) this.endToken(run.connectHash, run)
    }
    this.send({ type: "closed", run: id, totals: run?.totals() ?? [] })
  }

  private endToken(hash: string, run: WorkerRun): void {
    // A program that opened again has the same tokens.
    if (this.tokens.get(hash)?.run === run) this.tokens.delete(hash)
    if (this.tunnels.get(hash) === run) this.tunnels.delete(hash)
    this.ended.add(hash)
    for (const oldest of this.ended) {
      if (this.ended.size <= maxEnded) break
      this.ended.delete(oldest)
    }
  }

  onRequest(asked: DoorRequest): void {
    const result = admit(asked.facts, (hash) => this.tokens.get(hash) ?? (this.ended.has(hash) ? "ended" : undefined))
    if ("refusal" in result) return this.refuse(asked, result.refusal, result.one)
    const { one } = result
    const { body = Infinity } = one.route.limits
    if (Number(asked.request.headers["content-length"] ?? 0) > body) return this.refuse(asked, tooLarge(body), one)
    const go = () => {
      const { inFlight, isOver } = one.run
      if (isOver) return this.refuse(asked, new Refusal("run_ended", "the run has ended"), one)
      if (inFlight >= one.route.limits.inFlight) {
        return this.refuse(asked, new Refusal("busy", `${inFlight} requests of the run are in flight`), one)
      }
      if (asked.waits) asked.response.writeContinue()
      exchange({
        admitted: result,
        request: asked.request,
        response: asked.response,
        upgrade: asked.upgrade,
        refuse: (refusal) => this.refuse(asked, refusal, one),
        onMasked: () => this.reports.noted(one, "masked"),
        onAddress: () => this.reports.noted(one, "address")
      })
    }
    const recorded = this.reports.used(one)
    if (recorded === true) go()
    else void recorded.then(go)
  }

  private refuse({ facts, request, response }: DoorRequest, refusal: Refusal, one: WorkerRoute | undefined): void {
    if (refusal.code === "foreign_credential" && one !== undefined) this.reports.noted(one, "foreign_credential")
    const run = one?.run ?? (facts.door.kind === "intercepted" ? facts.door.run : undefined)
    const done = this.reports.refused({ run, one, code: refusal.code, method: facts.method, path: facts.target })
    const isNpm = one?.route.preset === "npm" || /^(npm|pnpm|yarn|bun)\//i.test(request.headers["user-agent"] ?? "")
    const masked = (text: string) => run?.masks.text(text) ?? text
    const answer = () => sendRefusal(response, refusal, { isNpm, masked })
    if (done === undefined) answer()
    else void done.then(answer)
  }

  onMalformed(): void {
    void this.reports.refused({ run: undefined, one: undefined, code: "request", method: "", path: "" })
  }

  onConnect(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const [refusal, run, door] = this.tunnelTo(request)
    if (refusal !== undefined || door === undefined || run === undefined) {
      const code = refusal?.code ?? "connect"
      const refused: RefusedRequest = { run, one: undefined, code, method: "CONNECT", path: request.url ?? "" }
      const answer = () => endWith(socket, refusal ?? notIntercepted)
      const done = this.reports.refused(refused)
      if (done === undefined) return answer()
      void done.then(answer)
      return
    }
    const forget = run.onClose(() => socket.destroy())
    socket.once("close", forget)
    // With a length, some clients would wait for a body.
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
    if (head.length > 0) socket.unshift(head)
    door.emit("connection", socket)
  }

  /** Finds the server for a CONNECT, or why there is none. */
  private tunnelTo(
    request: IncomingMessage
  ): readonly [refusal?: Refusal | undefined, run?: WorkerRun | undefined, door?: TlsServer] {
    const hash = connectHashOf(request)
    if (hash === undefined) return [new Refusal("authenticate", "the proxy needs the token of a run")]
    const run = this.tunnels.get(hash)
    if (run === undefined) {
      const isEnded = this.ended.has(hash)
      return [
        isEnded ? new Refusal("run_ended", "the run has ended") : new Refusal("no_token", "no run has this token")
      ]
    }
    const [, host = "", port = ""] = /^(.+):(\d{1,5})$/.exec((request.url ?? "").toLowerCase()) ?? []
    const door = this.hostDoor(run, host, Number(port))
    return door === undefined ? [notIntercepted, run] : [undefined, run, door]
  }

  private hostDoor(run: WorkerRun, host: string, port: number): TlsServer | undefined {
    const doors = this.hostDoors.get(run) ?? new Map<string, TlsServer>()
    this.hostDoors.set(run, doors)
    const known = doors.get(`${host}:${port}`)
    if (known !== undefined) return known
    const routes = run.routes.filter(
      ({ route }) => route.intercept && route.upstream.host === host && route.upstream.port === port
    )
    const [first] = routes
    if (first === undefined || run.authority === undefined) return undefined
    const onUnknownCa = () => {
      first.counts.unknownCa()
      this.reports.noted(first, "unknown_ca", host)
    }
    const door = { kind: "intercepted", run, host, port } as const
    const server = interceptedDoor(door, run.authority.leafOf(host), this, onUnknownCa)
    doors.set(`${host}:${port}`, server)
    return server
  }
}

const notIntercepted = new Refusal("connect", "no route of the run intercepts the host")

/** Returns the hash of the token that a CONNECT has. */
const connectHashOf = (request: IncomingMessage): string | undefined => {
  const [, value = ""] =
    pairsOf(request.rawHeaders).find(([name]) => name.toLowerCase() === "proxy-authorization") ?? []
  const [, credentials] = /^basic +(\S+) *$/i.exec(value) ?? []
  const token =
    credentials &&
    basicCredentials(credentials)
      .map(tokenIn)
      .find((one) => one !== undefined)
  return value === "" ? undefined : proxyTokenHash(token ?? value)
}
