/**
 * Scans one file after the other, and collects the findings.
 *
 * One window serves all files, so memory is bounded: findings beyond the limit are only
 * counted.
 */
import * as Effect from "effect/Effect"
import type { ClientError } from "../../../rpc/client/client.ts"
import { reasonOf } from "../../command/Output.ts"
import { type ScanFinding, isBinary, matchPatterns } from "./Finding.ts"
import type { OwnValues } from "./ownValues.ts"
import { type ReadBytes, readAsUtf8, wideEncodingOf } from "./wideText.ts"
import { type Window, Windows, windowSize } from "./Windows.ts"

/** A person reads no more of them, and a program scans again after it removed these. */
const maxFindings = 10_000

interface Unread {
  readonly file: string
  readonly reason: string
}

export class Scanner {
  files = 0
  bytes = 0
  binary = 0
  /** The number of findings beyond the limit. */
  omitted = 0
  readonly unreadable: Array<Unread> = []
  /** Directories whose files git refused to list, so that all of them are scanned. */
  readonly unlisted: Array<Unread> = []
  /** Why the values of the store were not compared in all files. */
  ownError: ClientError | undefined
  private readonly kept: Array<ScanFinding> = []
  private readonly buffer = Buffer.allocUnsafe(windowSize)
  private readonly patterns: boolean
  private own: OwnValues | undefined

  constructor({ own, patterns }: { readonly patterns: boolean; readonly own: OwnValues | undefined }) {
    this.patterns = patterns
    this.own = own
  }

  /** Sorted by position. At one position, a value of the store replaces the finding of a pattern. */
  get findings(): ReadonlyArray<ScanFinding> {
    const own = new Set(this.kept.filter(isOwn).map(positionOf))
    return this.kept
      .filter((finding) => isOwn(finding) || !own.has(positionOf(finding)))
      .toSorted((a, b) => compare(a.file, b.file) || a.line - b.line || a.column - b.column)
  }

  /** Scans a file. `read` may throw system errors. */
  readonly scanFile: (file: string, read: ReadBytes) => Effect.Effect<void> = Effect.fnUntraced(
    { self: this },
    function* (this: Scanner, file: string, readRaw: ReadBytes) {
      let windows = new Windows(this.buffer)
      let read = readRaw
      let isText = true
      while (isText) {
        const count = yield* readInto(read, windows.room)
        if (typeof count === "string") {
          this.unreadable.push({ file, reason: count })
          return
        }
        windows.advance(count)
        this.bytes += count
        const isLast = count === 0
        if (!isLast && !windows.isFull) continue
        const window = windows.window(isLast)
        const encoding = window.isFirst && read === readRaw ? wideEncodingOf(window.bytes) : undefined
        if (encoding !== undefined) {
          read = readAsUtf8(encoding, Buffer.from(window.bytes), readRaw)
          this.bytes -= window.bytes.length
          windows = new Windows(this.buffer)
          continue
        }
        isText = this.scanWindow(file, window)
        if (this.own?.isFull() === true) yield* this.resolveOwn()
        if (isLast) break
        windows.slide()
        yield* Effect.yieldNow
      }
      if (isText) this.files += 1
      else this.binary += 1
    }
  )

  /** Resolves the collected candidates. If the daemon is gone, the scan goes on without it. */
  resolveOwn(): Effect.Effect<void> {
    if (this.own === undefined) return Effect.void
    return Effect.match(this.own.resolve, {
      onSuccess: (findings) => this.keep(findings),
      onFailure: (error) => {
        this.ownError = error
        this.own = undefined
      }
    })
  }

  /** Returns false for a binary file. */
  private scanWindow(file: string, window: Window): boolean {
    if (isBinary(window)) return false
    if (this.patterns) this.keep(matchPatterns(file, window))
    this.own?.collect(file, window)
    return true
  }

  private keep(findings: ReadonlyArray<ScanFinding>): void {
    const room = Math.max(0, maxFindings - this.kept.length)
    this.kept.push(...findings.slice(0, room))
    this.omitted += Math.max(0, findings.length - room)
  }
}

const positionOf = ({ column, file, line }: ScanFinding): string => `${line}:${column} ${file}`
const isOwn = ({ type }: ScanFinding): boolean => type === "own_value"
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Returns the number of bytes, or the reason why there are none. A synchronous read stays synchronous, for speed. */
const readInto = (read: ReadBytes, room: Buffer): Effect.Effect<number | string> =>
  Effect.suspend(() => {
    try {
      const count = read(room)
      if (typeof count === "number") return Effect.succeed(count)
      return Effect.tryPromise(() => count).pipe(Effect.catch(({ cause }) => Effect.succeed(reasonOf(cause))))
    } catch (error) {
      return Effect.succeed(reasonOf(error))
    }
  })
