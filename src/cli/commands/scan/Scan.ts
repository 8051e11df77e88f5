/**
 * A scan under way: looks at one file after the other, and keeps what it finds.
 *
 * One window serves all files, so a tree of any size takes as much memory as its
 * findings, of which it keeps so many and counts the rest.
 */
import * as Effect from "effect/Effect"
import type { ClientError } from "../../../rpc/client/client.ts"
import { reasonOf } from "../../command/Output.ts"
import type { ScanFinding } from "./Finding.ts"
import { isBinary, patternsIn } from "./Finding.ts"
import type { OwnValues } from "./ownValues.ts"
import type { Window } from "./Windows.ts"
import { Windows } from "./Windows.ts"

/** Nobody reads more of them, and a program that wants more wants to look again after the first. */
const maxFindings = 10_000

/** Gives bytes into a buffer, 0 at the end of the file. */
export type ReadBytes = (into: Buffer) => number | Promise<number>

export interface ScanEngines {
  readonly patterns: boolean
  readonly own: OwnValues | undefined
}

export class Scan {
  files = 0
  bytes = 0
  binary = 0
  /** How many were found beyond those that are kept. */
  unkept = 0
  private readonly kept: Array<ScanFinding> = []
  readonly unreadable: Array<{ readonly file: string; readonly reason: string }> = []
  private readonly windows = new Windows()
  private readonly patterns: boolean
  private own: OwnValues | undefined
  /** Why the store's own values were compared up to some file only. */
  ownLost: ClientError | undefined

  constructor({ own, patterns }: ScanEngines) {
    this.patterns = patterns
    this.own = own
  }

  /** In the order of the files; of one place, the store's own value instead of what it looks like. */
  get findings(): ReadonlyArray<ScanFinding> {
    const own = new Set(this.kept.filter(isOwn).map(placeOf))
    return this.kept
      .filter((finding) => isOwn(finding) || !own.has(placeOf(finding)))
      .toSorted((a, b) => compare(a.file, b.file) || a.line - b.line || a.column - b.column)
  }

  /** Looks at a file; `read` may throw what the system says. */
  readonly look: (file: string, read: ReadBytes) => Effect.Effect<void> = Effect.fnUntraced(
    { self: this },
    function* (this: Scan, file: string, read: ReadBytes) {
      this.windows.reset()
      let isText = true
      while (isText) {
        const count = yield* pull(read, this.windows.room)
        if (typeof count === "string") {
          this.unreadable.push({ file, reason: count })
          return
        }
        this.windows.filled(count)
        this.bytes += count
        const isLast = count === 0
        if (!isLast && !this.windows.isFull) continue
        isText = this.see(file, this.windows.window(isLast))
        yield* this.settle(false)
        if (isLast) break
        this.windows.slide()
        yield* Effect.yieldNow
      }
      if (isText) this.files += 1
      else this.binary += 1
    }
  )

  /** Has the daemon say what the noted places are, when there are many of them, or `now`. It may have gone meanwhile. */
  settle(now: boolean): Effect.Effect<void> {
    const { own } = this
    if (own === undefined || (!now && !own.isFull())) return Effect.void
    return Effect.match(own.settle, {
      onSuccess: (findings) => this.keep(findings),
      onFailure: (error) => {
        this.ownLost = error
        this.own = undefined
      }
    })
  }

  /** False if it is no text. */
  private see(file: string, window: Window): boolean {
    if (isBinary(window)) return false
    if (this.patterns) this.keep(patternsIn(file, window))
    this.own?.lookAt(file, window)
    return true
  }

  private keep(findings: ReadonlyArray<ScanFinding>): void {
    const room = Math.max(0, maxFindings - this.kept.length)
    this.kept.push(...findings.slice(0, room))
    this.unkept += Math.max(0, findings.length - room)
  }
}

const placeOf = ({ column, file, line }: ScanFinding): string => `${line}:${column} ${file}`
const isOwn = ({ type }: ScanFinding): boolean => type === "own_value"
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** How many bytes came, or why none can. A file is read at once, for most have one piece; a blob is waited for. */
const pull = (read: ReadBytes, room: Buffer): Effect.Effect<number | string> =>
  Effect.suspend(() => {
    try {
      const count = read(room)
      return typeof count === "number"
        ? Effect.succeed(count)
        : Effect.match(
            Effect.tryPromise(() => count),
            { onSuccess: (read) => read, onFailure: (e) => reasonOf(e.cause) }
          )
    } catch (error) {
      return Effect.succeed(reasonOf(error))
    }
  })
