/**
 * verifyAudit: reads the audit log and its archives from the oldest entry to the
 * last and tells whether they are as they were written.
 *
 * It only reads, needs no daemon and disturbs none: the files are opened before the
 * first is read, so a rotation meanwhile leads nowhere else, and a line that is just
 * being written gets a moment to be whole.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { constants } from "node:fs"
import * as fs from "node:fs"
import { basename } from "node:path"
import type { AuditVerdict } from "../../domain/AuditVerifier.ts"
import { AuditVerifier } from "../../domain/AuditVerifier.ts"
import { readAuditHead } from "./auditHead.ts"
import { attempt, type FileError } from "../files/durableFile.ts"
import { findArchiveNumbers } from "./logArchives.ts"

/** Files that were read, oldest first, and what came of it. */
export interface AuditReport extends AuditVerdict {
  readonly files: ReadonlyArray<string>
  /** Whether audit.head.json could tell which entry was the last; without it, a cut at the end does not show. */
  readonly isEndKnown: boolean
}

export const verifyAuditLog = (auditPath: string): Effect.Effect<AuditReport, FileError> =>
  Effect.scoped(
    Effect.gen(function* () {
      // Read first: it may be behind the log that is read after it, never ahead of it.
      const head = yield* readAuditHead(auditPath)
      const files = yield* openAll(auditPath)
      // What rotation dropped before the files were opened is told by the head of now.
      const first = Option.map(yield* readAuditHead(auditPath), (now) => now.first)
      const known = Option.map(head, (then) => ({ ...then, first: Option.getOrElse(first, () => then.first) }))
      const verifier = new AuditVerifier(Option.getOrUndefined(known))
      let rest = 0
      for (const { handle, name } of files) {
        // What an archive has behind its last line feed goes on in the file behind it, if anywhere.
        verifier.beginFile(name)
        rest = yield* readLines(handle, name, verifier)
      }
      verifier.tear(rest)
      return { ...verifier.end(), files: files.map(({ name }) => name), isEndKnown: Option.isSome(head) }
    })
  )

interface Opened {
  readonly path: string
  readonly name: string
  readonly handle: fs.promises.FileHandle
}

/** Opens the archives and the log, oldest first; again, if a rotation came between, until all of them were there at once. */
const openAll = Effect.fnUntraced(function* (auditPath: string) {
  for (let tries = 1; ; tries += 1) {
    const opened: Array<Opened> = []
    for (const path of yield* namesOf(auditPath)) {
      const handle = yield* open(path)
      if (handle !== undefined) opened.push({ path, name: basename(path), handle })
    }
    // The log itself comes last, and a rotation changes that: if it is the same still, there was none.
    const isStill = yield* Effect.forEach(opened, ({ handle, path }) =>
      attempt("look at", path, async () => {
        const [there, ours] = [await fs.promises.stat(path).catch(() => undefined), await handle.stat()]
        return there?.ino === ours.ino && there.dev === ours.dev
      })
    )
    // A list that was read while files were renamed may lack one of them.
    const isAll = (yield* namesOf(auditPath)).length === opened.length || opened.length === 0
    if (tries === maxTries || (isAll && isStill.every(Boolean))) return opened
    for (const { handle } of opened) yield* Effect.promise(() => handle.close())
  }
})

/** A daemon that rotates faster than files are opened does nothing else. */
const maxTries = 100

const namesOf = (auditPath: string) =>
  attempt("look beside", auditPath, async () => [
    ...findArchiveNumbers(auditPath)
      .toReversed()
      .map((number) => `${auditPath}.${number}`),
    auditPath
  ]).pipe(
    Effect.catchIf(
      (fault) => fault.code === "ENOENT",
      () => Effect.succeed([auditPath])
    )
  )

const open = (path: string) =>
  Effect.acquireRelease(
    attempt("read", path, async () => {
      // To open a pipe would be to wait for whoever writes into it.
      const handle = await fs.promises.open(path, constants.O_RDONLY | constants.O_NONBLOCK)
      if ((await handle.stat()).isFile()) return handle
      await handle.close()
      throw new Error("not a regular file")
    }).pipe(
      Effect.catchIf(
        (fault) => fault.code === "ENOENT",
        () => Effect.succeed(undefined)
      )
    ),
    (handle) => Effect.promise(async () => await handle?.close())
  )

const pieceLength = 256 * 1024
const lineFeed = 0x0a
/** What the daemon may take to finish a line that it has begun; a torn one stays as it is. */
const finishing = "100 millis"

/** Gives every whole line to the verifier; returns how many bytes stand behind the last one. */
const readLines = Effect.fnUntraced(function* (handle: fs.promises.FileHandle, name: string, verifier: AuditVerifier) {
  let rest: Array<Buffer> = []
  let hasWaited = false
  for (let position = 0; ;) {
    const buffer = Buffer.alloc(pieceLength)
    const { bytesRead } = yield* attempt("read", name, () => handle.read(buffer, 0, pieceLength, position))
    const torn = rest.reduce((sum, { length }) => sum + length, 0)
    if (bytesRead === 0 && (torn === 0 || hasWaited)) return torn
    if (bytesRead === 0) {
      hasWaited = true
      yield* Effect.sleep(finishing)
      continue
    }
    hasWaited = false
    position += bytesRead
    const piece = buffer.subarray(0, bytesRead)
    let from = 0
    for (let at = piece.indexOf(lineFeed); at >= 0; at = piece.indexOf(lineFeed, from)) {
      verifier.add(Buffer.concat([...rest, piece.subarray(from, at + 1)]))
      rest = []
      from = at + 1
    }
    if (from < piece.length) rest.push(piece.subarray(from))
  }
})
