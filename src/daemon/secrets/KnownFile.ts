/**
 * One of the two files of the store, compared with what this process read or wrote last.
 *
 * The stamp of the file is compared first, and its contents if that differs: a file that was
 * touched or copied back is the same. Anything else in its place is never overwritten.
 */
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import { sha256 } from "../../domain/AuditChain.ts"
import { systemErrorText } from "../../domain/systemError.ts"
import { type FileStamp, hasCode, readStampedSync, stampOf } from "../files/durableFile.ts"
import { type PinnedFile, resolveLink } from "../files/pinFile.ts"

/** Another program changed or replaced a file of the store, so the store is not written. */
export class StoreReplaced extends Schema.TaggedError<StoreReplaced>()("StoreReplaced", {
  path: Schema.String,
  reason: Schema.String
}) {
  get problem() {
    return `${this.path} is no longer the file of this daemon: ${this.reason}`
  }
  override get message() {
    return `nothing was changed, because ${this.problem}`
  }
}

export class KnownFile {
  readonly pinned: PinnedFile
  /** SHA-256 of what counts in the contents, as they were found or written last. */
  digest = ""
  private readonly digestOf: (contents: Uint8Array) => string
  private readonly changed: string
  private stamp: FileStamp | undefined
  private next: string | undefined

  /** `significant` returns the part of the contents that counts; `changed` is the reason if another one is found. */
  constructor(pinned: PinnedFile, significant: (contents: Uint8Array) => Uint8Array | string, changed: string) {
    this.pinned = pinned
    this.digestOf = (contents) => sha256(significant(contents))
    this.changed = changed
  }

  /** Notes what was read or written. */
  set(contents: Uint8Array, stamp: FileStamp): void {
    this.digest = this.digestOf(contents)
    this.stamp = stamp
    this.next = undefined
  }

  /** Notes what was written in place of a missing file, which is still ours if it is put back. */
  setRestored(contents: Uint8Array, stamp: FileStamp): void {
    const before = this.digest
    this.set(contents, stamp)
    this.next = before
  }

  /** Notes what will be written. A write that fails late leaves either version, and both are ours. */
  expect(contents: Uint8Array): void {
    this.next = this.digestOf(contents)
  }

  /** Returns whether these contents are those of the file, as `status` found it last. */
  has(contents: Uint8Array): boolean {
    return this.digest === this.digestOf(contents)
  }

  /** Looks at the file; throws `StoreReplaced` if it is another one or cannot be read. */
  status(): "same" | "missing" | "unlinked" {
    const { name, path } = this.pinned
    const real = this.look(() => resolveLink(name))
    if (real !== path) {
      if (real === name && !fs.existsSync(name)) return "unlinked"
      throw this.replaced(
        name === path ? `it is now a symbolic link to ${real}` : `it is no longer a symbolic link to ${path}`
      )
    }
    const found = this.look(() => fs.lstatSync(path, { bigint: true, throwIfNoEntry: false }))
    if (found === undefined) return "missing"
    const stamp = stampOf(found)
    const age = this.stamp === undefined ? "other" : compare(this.stamp, stamp)
    if (age === "same") this.stamp = stamp
    else this.compareContents(age === "touched")
    return "same"
  }

  /** Compares the contents. A file that was given to another user cannot be read, but it is the same if only that changed. */
  private compareContents(wasTouched: boolean): void {
    const read = this.look(() => {
      try {
        return readStampedSync(this.pinned.path)
      } catch (cause) {
        if (wasTouched && hasCode(cause, "EACCES")) return undefined
        throw cause
      }
    })
    if (read === undefined) return
    const digest = this.digestOf(read.contents)
    if (digest !== this.digest && digest !== this.next) throw this.replaced(this.changed)
    this.digest = digest
    this.stamp = read.stamp
  }

  private look<A>(run: () => A): A {
    try {
      return run()
    } catch (cause) {
      throw this.replaced(cause instanceof Error ? systemErrorText(cause) : String(cause))
    }
  }

  private replaced(reason: string): StoreReplaced {
    return new StoreReplaced({ path: this.pinned.path, reason })
  }
}

/** Compares stamps; "touched" if only the time differs that a link, a rename, a new mode or owner sets too. */
const compare = (known: FileStamp, found: FileStamp): "same" | "touched" | "other" => {
  const isOther =
    known.dev !== found.dev || known.ino !== found.ino || known.size !== found.size || known.mtime !== found.mtime
  if (isOther) return "other"
  return known.ctime === undefined || known.ctime === found.ctime ? "same" : "touched"
}
