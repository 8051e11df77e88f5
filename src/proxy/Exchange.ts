/**
 * One request at the upstream, and its answer on the way back. A client that goes away ends the request at the upstream;
 * an upstream that breaks off breaks the client's connection; the end of the run does both.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import type { Dispatcher } from "undici"
import type { Masker } from "../domain/Masker.ts"
import { splitTarget } from "../domain/proxyRules.ts"
import type { Admitted } from "./admit.ts"
import { AnswerBody, decodersOf, maxEncodings } from "./AnswerBody.ts"
import { answerHeaders, makeRelocated, requestHeaders, valuesOf } from "./headers.ts"
import { Refusal } from "./refusals.ts"
import type { WorkerRoute } from "./WorkerRun.ts"
import { injectedQuery, type RawHeaders } from "./slots.ts"
import { upstreamFailure } from "./upstreamFailure.ts"

export interface ExchangeOptions {
  readonly admitted: Admitted
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The client's connection and what it sent already, for an upgrade. */
  readonly upgrade: { readonly protocol: string; readonly socket: Duplex; readonly head: Buffer } | undefined
  readonly refuse: (refusal: Refusal) => void
  /** Called at the first mask of the route. */
  readonly onMasked: () => void
  /** Called when the upstream has a private address. */
  readonly onAddress: () => void
}

type Controller = Dispatcher.DispatchController

/** Sends an admitted request to its upstream. */
export const exchange = (options: ExchangeOptions): void => new Exchange(options).begin()

class Exchange implements Dispatcher.DispatchHandler {
  private readonly options: ExchangeOptions
  private readonly one: WorkerRoute
  private readonly began = performance.now()
  private controller: Controller | undefined
  private body: AnswerBody | undefined
  private masker: Masker | undefined
  private sent = 0
  private isOver = false
  private readonly forget: () => void

  constructor(options: ExchangeOptions) {
    this.options = options
    this.one = options.admitted.one
    this.one.run.inFlight += 1
    this.one.counts.begin()
    this.forget = this.one.run.onClose(() => this.cut())
  }

  begin(): void {
    const { admitted, request, response, upgrade } = this.options
    const { route, run, value } = this.one
    const { path, query } = splitTarget(admitted.target)
    const search = injectedQuery(route, query, value)
    const hasBody =
      request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) > 0
    const closing = upgrade?.socket ?? response
    closing.once("close", () => this.cut())
    response.on("error", () => this.cut())
    if (closing.destroyed) return this.cut()
    try {
      run.poolOf(this.one).pool.dispatch(
        {
          path: search === "" ? path : `${path}?${search}`,
          method: request.method ?? "GET",
          headers: requestHeaders(request.rawHeaders, route, value),
          body: hasBody ? request : null,
          ...(upgrade !== undefined && { upgrade: upgrade.protocol })
        },
        this
      )
    } catch {
      this.fail(new Refusal("upstream", "the request cannot be sent: check the value of the secret", 502))
    }
  }

  onRequestStart(controller: Controller): void {
    this.controller = controller
    if (this.isOver) controller.abort(new Error("over"))
  }

  onBodySent(piece: Buffer): void {
    this.sent += piece.length
    this.one.counts.sent(piece.length)
    const { body = Infinity } = this.one.route.limits
    if (this.sent > body) this.fail(tooLarge(body))
  }

  onResponseStart(controller: Controller, status: number, _headers: unknown, reason = ""): void {
    if (status < 200 || this.isOver) return
    this.one.counts.answered(status, performance.now() - this.began)
    const raw = rawOf(controller.rawHeaders)
    const { mask } = this.one.route
    const encodings = mask && hasContent(this.options.request, status) ? valuesOf(raw, "content-encoding") : []
    const decode = decodersOf(encodings)
    const isReadable = decode !== undefined && decode.length <= maxEncodings && !(status === 206 && decode.length > 0)
    const transfers = valuesOf(raw, "transfer-encoding").filter((value) => value.trim().toLowerCase() !== "chunked")
    if (!isReadable || transfers.length > 0) {
      return this.fail(new Refusal("encoding", "the answer of the upstream has an encoding that cannot be masked"))
    }
    this.writeHead(status, reason, raw, decode.length > 0)
    this.masker = mask ? this.one.run.masks.masker() : undefined
    this.body = new AnswerBody({
      response: this.options.response,
      decode,
      masker: this.masker,
      onDrain: () => controller.resume(),
      onBytes: (count) => this.one.counts.received(count),
      onEnd: (isWhole) => (isWhole ? this.finish() : this.cut())
    })
  }

  onResponseData(controller: Controller, piece: Buffer): void {
    if (this.body?.write(piece) === false) controller.pause()
  }

  onResponseEnd(): void {
    if (this.isOver) return
    // A connection that breaks is no end, even where the answer has no other.
    if (this.one.upstream?.isBreaking() === true) this.cut()
    else this.body?.end()
  }

  onResponseError(_controller: Controller, error: Error): void {
    if (this.isOver) return
    const refusal = upstreamFailure(error)
    if (refusal.code === "address") this.options.onAddress()
    this.fail(refusal)
  }

  onRequestUpgrade(controller: Controller, status: number, _headers: unknown, socket: Duplex): void {
    const { upgrade } = this.options
    if (upgrade === undefined || this.isOver) return void socket.destroy()
    this.one.counts.answered(status, performance.now() - this.began)
    const { headers } = this.masked(rawOf(controller.rawHeaders))
    const kept = answerHeaders(headers, { isDecoded: false, relocated: (place) => place })
    const lines = Array.from({ length: kept.length / 2 }, (_, at) => `${kept[2 * at]}: ${kept[2 * at + 1]}\r\n`).join(
      ""
    )
    const head = `HTTP/1.1 ${status} Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${upgrade.protocol}\r\n${lines}\r\n`
    upgrade.socket.write(head, "latin1")
    if (upgrade.head.length > 0) socket.write(upgrade.head)
    socket.on("data", (piece: Buffer) => this.one.counts.received(piece.length))
    socket.pipe(upgrade.socket).pipe(socket)
    this.controller = { ...idleController, abort: () => void socket.destroy() }
    for (const end of [socket, upgrade.socket]) end.on("error", () => this.cut()).on("close", () => this.cut())
  }

  /** Ends the exchange at once, on both sides. */
  private cut(): void {
    if (!this.leave()) return
    this.options.response.destroy()
    this.options.upgrade?.socket.destroy()
    // undici takes ten times as long: first the clients of all exchanges of a run that ends, then the upstreams.
    queueMicrotask(() => this.controller?.abort(cutOff))
  }

  /** Ends the exchange with an answer of the worker, or breaks an answer that has begun. */
  private fail(refusal: Refusal): void {
    if (!this.leave()) return
    this.options.refuse(refusal)
    this.controller?.abort(new Error("refused"))
  }

  private finish(): void {
    if (this.leave()) this.options.response.end()
  }

  /** Leaves the run; returns false if that was done before. */
  private leave(): boolean {
    if (this.isOver) return false
    this.isOver = true
    this.forget()
    this.body?.cut()
    if (this.masker !== undefined) this.noteMasked(this.masker.count)
    this.one.run.inFlight -= 1
    this.one.counts.end()
    return true
  }

  private writeHead(status: number, reason: string, raw: RawHeaders, isDecoded: boolean): void {
    const { admitted, request, response } = this.options
    const relocated = makeRelocated(this.one.route.upstream, admitted.target, admitted.baseUrl)
    const { headers, phrase } = this.masked(raw, reason)
    response.sendDate = false
    // What is left of the request would be taken for the next one.
    if (!request.complete) response.shouldKeepAlive = false
    response.writeHead(
      status,
      phrase.replaceAll(/[^\x20-\x7e]/g, "?"),
      answerHeaders(headers, { isDecoded, relocated })
    )
    // The first piece mostly comes with the headers, and then goes out with them.
    queueMicrotask(() => {
      if (!response.destroyed && !this.isOver) response.flushHeaders()
    })
  }

  /** Masks what stands before the body. */
  private masked(raw: RawHeaders, reason = ""): { readonly headers: RawHeaders; readonly phrase: string } {
    if (!this.one.route.mask) return { headers: raw, phrase: reason }
    const { count, headers } = this.one.run.masks.headers([...raw, reason, ""])
    this.noteMasked(count)
    return { headers: headers.slice(0, -2), phrase: headers.at(-2) ?? "" }
  }

  private noteMasked(count: number): void {
    if (count === 0) return
    this.one.counts.masked(count)
    this.options.onMasked()
  }
}

/** One for all: an error with a stack is slow to make. */
const cutOff = new Error("cut")

const idleController: Controller = {
  aborted: false,
  paused: false,
  reason: null,
  abort: () => undefined,
  pause: () => undefined,
  resume: () => undefined
}

export const tooLarge = (most: number): Refusal => new Refusal("body", `the request has more than ${most} bytes`)

const hasContent = ({ method }: IncomingMessage, status: number): boolean =>
  method !== "HEAD" && status !== 204 && status !== 304

/** Returns headers as undici received them. */
const rawOf = (raw: Controller["rawHeaders"]): RawHeaders =>
  Array.isArray(raw)
    ? raw.map((part: Buffer | string) => (typeof part === "string" ? part : part.toString("latin1")))
    : []
