/**
 * The way of an answer's body to the client: decoded, masked, and as slow as the client reads. What
 * breaks off, or cannot be decoded to its end, breaks the client's connection: it never looks complete.
 */
import type { ServerResponse } from "node:http"
import type { Transform } from "node:stream"
import { setTimeout } from "node:timers"
import * as zlib from "node:zlib"
import type { Masker } from "../domain/Masker.ts"

/** So few bytes are held back in the middle of a stream that a person would wait for. */
const releaseAfter = 50

type Decode = (first: Buffer) => Transform

const decoders: Readonly<Record<string, Decode>> = {
  gzip: () => zlib.createGunzip({ flush: zlib.constants.Z_SYNC_FLUSH }),
  br: () => zlib.createBrotliDecompress({ flush: zlib.constants.BROTLI_OPERATION_FLUSH }),
  // Some servers send the bare algorithm by this name.
  deflate: ([first = 0]) =>
    (first & 0x0f) === 8
      ? zlib.createInflate({ flush: zlib.constants.Z_SYNC_FLUSH })
      : zlib.createInflateRaw({ flush: zlib.constants.Z_SYNC_FLUSH }),
  zstd: () => zlib.createZstdDecompress({ flush: zlib.constants.ZSTD_e_flush })
}

/** Returns how to decode an answer, the outermost encoding first; undefined if that cannot be done. */
export const decodersOf = (encodings: ReadonlyArray<string>): ReadonlyArray<Decode> | undefined => {
  const names = encodings
    .flatMap((value) => value.toLowerCase().split(","))
    .map((name) => name.trim().replace(/^x-/, ""))
    .filter((name) => name !== "" && name !== "identity")
  const found = names.toReversed().map((name) => (Object.hasOwn(decoders, name) ? decoders[name] : undefined))
  return found.every((decode) => decode !== undefined) ? found : undefined
}

/** What the standard says that an encoding within another one begins with. */
const zlibHeader = Buffer.of(0x78)

/** More layers are a bomb. */
export const maxEncodings = 2

export interface AnswerBodyOptions {
  readonly response: ServerResponse
  readonly decode: ReadonlyArray<Decode>
  readonly masker: Masker | undefined
  /** Called when the source may go on. */
  readonly onDrain: () => void
  readonly onBytes: (count: number) => void
  /** Called once the last byte is on its way, or when the body cannot be decoded. */
  readonly onEnd: (isWhole: boolean) => void
}

export class AnswerBody {
  private readonly options: AnswerBodyOptions
  private layers: ReadonlyArray<Transform> = []
  private timer: NodeJS.Timeout | undefined
  private isOver = false

  constructor(options: AnswerBodyOptions) {
    this.options = options
    options.response.on("drain", () => {
      if (this.layers.length === 0) options.onDrain()
      else this.layers.at(-1)?.resume()
    })
  }

  /** Takes a piece from the upstream, and returns whether more may come. */
  write(piece: Buffer): boolean {
    if (this.options.decode.length === 0) return this.pass(piece)
    if (this.layers.length === 0) this.layers = this.begin(piece)
    return this.layers[0]?.write(piece) !== false
  }

  /** Ends the answer, when what is still being decoded has gone out. */
  end(): void {
    const [first] = this.layers
    if (first === undefined) this.finish()
    else first.end()
  }

  /** Forgets what is held back. */
  cut(): void {
    this.isOver = true
    clearTimeout(this.timer)
    for (const layer of this.layers) layer.destroy()
  }

  private begin(piece: Buffer): ReadonlyArray<Transform> {
    const layers = this.options.decode.map((decode, at) => decode(at === 0 ? piece : zlibHeader))
    for (const [at, layer] of layers.entries()) {
      const next = layers[at + 1]
      layer.on("error", () => this.fail())
      layer.on("data", (data: Buffer) => {
        if ((next === undefined ? this.pass(data) : next.write(data)) === false) layer.pause()
      })
      layer.on("end", () => (next === undefined ? this.finish() : next.end()))
      layer.on("drain", () => (at === 0 ? this.options.onDrain() : layers[at - 1]?.resume()))
    }
    return layers
  }

  private pass(piece: Buffer): boolean {
    if (this.isOver) return true
    const { masker } = this.options
    const out = masker === undefined ? piece : masker.push(piece)
    const isReady = this.send(out)
    if (masker?.mayRelease() === true) {
      this.timer ??= setTimeout(() => {
        this.timer = undefined
        if (!this.isOver && masker.mayRelease()) this.send(masker.release())
      }, releaseAfter)
    }
    return isReady
  }

  private send(bytes: Buffer): boolean {
    if (bytes.length === 0) return true
    this.options.onBytes(bytes.length)
    return this.options.response.write(bytes)
  }

  private finish(): void {
    if (this.isOver) return
    const rest = this.options.masker?.end()
    if (rest !== undefined) this.send(rest)
    this.cut()
    this.options.onEnd(true)
  }

  private fail(): void {
    if (this.isOver) return
    this.cut()
    this.options.onEnd(false)
  }
}
