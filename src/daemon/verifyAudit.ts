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
import * as fs from "node:fs/promises"
import { basename } from "node:path"
import type { Verdict } from "../domain/auditVerify.ts"
import { AuditVerifier } from "../domain/auditVerify.ts"
import { readHead } from "./auditHead.ts"
import { attempt, type FileFault } from "./durableFile.ts"
import { numbersBeside } from "./logArchives.ts"

/** Files that were read, oldest first, and what came of it. */
export interface AuditReport extends Verdict {
  readonly files: ReadonlyArray<string>
  /** Whether audit.head.json could tell which entry was the last; without it, a cut at the end does not show. */
  readonly endIsKnown: boolean
}

export const verifyAudit = (auditPath: string): Effect.Effect<AuditReport, FileFault> =>
  Effect.scoped(
    Effect.gen(function* () {
      // Read first: it may be behind the log that is read after it, never ahead of it.
      const head = yield* readHead(auditPath)
      const files = yield* openAll(auditPath)
      const verifier = new AuditVerifier(Option.getOrUndefined(head))
      let rest = 0
      for (const { handle, name } of files) {
        // What an archive has behind its last line feed goes on in the file behind it, if anywhere.
        verifier.beginFile(name)
        rest = yield* readLines(handle, name, verifier)
      }
      verifier.tear(rest)
      return { ...verifier.end(), files: files.map(({ name }) => name), endIsKnown: Option.isSome(head) }
    })
  )

interface Opened {
  readonly name: string
  readonly handle: fs.FileHandle
}

/** Opens the archives and the log, oldest first; again, if a rotation came between. */
const openAll = Effect.fnUntraced(function* (auditPath: string) {
  for (let tries = 0; ; tries += 1) {
    const before = yield* namesOf(auditPath)
    const opened: Array<Opened> = []
    for (const path of before) {
      const handle = yield* open(path)
      if (handle !== undefined) opened.push({ name: basename(path), handle })
    }
    const inodes = yield* Effect.forEach(opened, ({ handle, name }) =>
      attempt("look at", name, async () => (await handle.stat()).ino)
    )
    const after = yield* namesOf(auditPath)
    if (tries > 5 || (new Set(inodes).size === before.length && before.length === after.length)) return opened
  }
})

const namesOf = (auditPath: string) =>
  attempt("look beside", auditPath, async () => [
    ...numbersBeside(auditPath)
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
    attempt("read", path, () => fs.open(path, "r")).pipe(
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
const readLines = Effect.fnUntraced(function* (handle: fs.FileHandle, name: string, verifier: AuditVerifier) {
  let rest: Buffer = Buffer.alloc(0)
  let hasWaited = false
  for (let position = 0; ;) {
    const piece = Buffer.alloc(pieceLength)
    const { bytesRead } = yield* attempt("read", name, () => handle.read(piece, 0, pieceLength, position))
    if (bytesRead === 0 && (rest.length === 0 || hasWaited)) return rest.length
    if (bytesRead === 0) {
      hasWaited = true
      yield* Effect.sleep(finishing)
      continue
    }
    hasWaited = false
    position += bytesRead
    const text = Buffer.concat([rest, piece.subarray(0, bytesRead)])
    let from = 0
    for (let at = text.indexOf(lineFeed); at >= 0; at = text.indexOf(lineFeed, from)) {
      verifier.add(text.subarray(from, at + 1))
      from = at + 1
    }
    rest = text.subarray(from)
  }
})
