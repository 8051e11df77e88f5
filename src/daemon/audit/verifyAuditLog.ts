/**
 * Verifies the audit log and its archives, from the oldest entry to the last, and what else
 * the log describes: secrets.age and leases.json.
 *
 * It only reads, and works with or without a running daemon. All files are opened
 * before the first is read, so that a rotation does not change what is read. A line
 * that the daemon is writing gets time to be completed.
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import { basename } from "node:path"
import { decodeChainedEntry, sha256 } from "../../domain/AuditChain.ts"
import { type AuditVerdict, AuditVerifier } from "../../domain/AuditVerifier.ts"
import { LeaseCheck, type LeaseCorrections } from "../../domain/LeaseCheck.ts"
import { bindingsPath, decodeBindings } from "../../domain/leaseFiles.ts"
import { lockFilePath } from "../../domain/Secret.ts"
import { type AuditNeighbours, readExposureHash, readStoreHash, readWitnesses } from "./auditEvidence.ts"
import { readAuditHead } from "./auditHead.ts"
import { attempt, attemptSync, type FileError, orIfMissing, readIfPresent } from "../files/durableFile.ts"
import { resolveLink } from "../files/pinFile.ts"
import { findArchiveNumbers } from "./logArchives.ts"
import { readFileBackwards } from "./logReader.ts"

export interface AuditReport extends AuditVerdict {
  /** The files that were read, oldest first. */
  readonly files: ReadonlyArray<string>
  /** How the leases are by the log, where leases.json has others. */
  readonly corrections: LeaseCorrections
  /** Whether audit.head.json named the last entry; without it, a truncated log is not detected. */
  readonly isEndKnown: boolean
}

export interface VerifyOptions {
  /** The other files that know of the log. */
  readonly beside?: AuditNeighbours
  /** The hash of an entry that the log must have. */
  readonly expected?: string | undefined
  /** A pause after each chunk, which leaves the processor to others. */
  readonly pause?: Duration.Input
}

export const verifyAuditLog = (auditPath: string, options: VerifyOptions = {}): Effect.Effect<AuditReport, FileError> =>
  Effect.gen(function* () {
    const { beside = {} } = options
    for (let tries = 0; tries < maxStoreTries; tries += 1) {
      const before = yield* readHashes(beside)
      const report = yield* verifyOnce(auditPath, options, before)
      const after = yield* readHashes(beside)
      if (before.store === after.store && before.exposure === after.exposure) return report
    }
    // Files that change all the time cannot be compared.
    return yield* verifyOnce(auditPath, options, { store: undefined, exposure: undefined })
  })

const maxStoreTries = 5

const readHashes = (beside: AuditNeighbours) =>
  Effect.all({ store: readStoreHash(beside), exposure: readExposureHash(beside) })

const verifyOnce = (
  configuredPath: string,
  { beside = {}, expected, pause }: VerifyOptions,
  { exposure, store }: Effect.Success<ReturnType<typeof readHashes>>
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const auditPath = yield* attemptSync("resolve", configuredPath, () => resolveLink(configuredPath))
      // Read before the log: the head may lag behind it and must never be ahead of it.
      const head = yield* readAuditHead(auditPath)
      const witnesses = yield* readWitnesses(beside)
      const leases = yield* openLeaseCheck(beside)
      const wasLocked = isStoreLocked(beside)
      const files = yield* openAll(auditPath)
      // A rotation before the files were opened shows in the current head.
      const first = Option.map(yield* readAuditHead(auditPath), (current) => current.first)
      const known = Option.map(head, (read) => ({ ...read, first: Option.getOrElse(first, () => read.first) }))
      const verifier = new AuditVerifier(Option.getOrUndefined(known), witnesses, expected)
      let rest = 0
      for (const { handle, name } of files) {
        verifier.beginFile(name)
        const add = (line: Uint8Array) => {
          const entry = verifier.add(line)
          if (entry !== undefined) leases.add(entry)
        }
        rest = yield* readLines(handle, name, add, pause === undefined ? undefined : Effect.sleep(pause))
      }
      verifier.tear(rest)
      // A daemon that started meanwhile appends to a log that was closed before.
      const isOpen = Option.match(yield* readAuditHead(auditPath), {
        onNone: () => true,
        onSome: ({ open }) => open !== false
      })
      // Locking and unlocking write the file and the entry one after the other.
      const isLocked = store === undefined ? undefined : wasLocked || isStoreLocked(beside)
      const verdict = verifier.end({ store, exposure, isOpen, isLocked, leases: leases.end() })
      const corrections = leases.corrections()
      return { ...verdict, corrections, files: files.map(({ name }) => name), isEndKnown: Option.isSome(head) }
    })
  )

/** Returns whether the lock file is there, or cannot be looked for. */
const isStoreLocked = ({ secrets }: AuditNeighbours): boolean => {
  try {
    return secrets !== undefined && fs.lstatSync(lockFilePath(secrets), { throwIfNoEntry: false }) !== undefined
  } catch {
    return true
  }
}

const openLeaseCheck = Effect.fnUntraced(function* ({ leases }: AuditNeighbours) {
  const now = yield* Clock.currentTimeMillis
  if (leases === undefined) return new LeaseCheck(undefined, [], now)
  // Read before leases.json, which may be replaced in between: then it is bound to no entry that was read.
  const bindings = decodeBindings((yield* readOptional(bindingsPath(leases)))?.toString("utf8") ?? "")
  return new LeaseCheck(yield* readOptional(leases), bindings, now)
})

const readOptional = (path: string) => Effect.orElseSucceed(readIfPresent(path), () => undefined)

/** Reads the last entry of the log, and its hash; none if there is no entry. */
export const readLastEntry = Effect.fnUntraced(function* (auditPath: string) {
  for (const path of (yield* namesOf(auditPath)).toReversed()) {
    let last = Option.none<{ readonly seq: number; readonly hash: string; readonly timestamp: string }>()
    yield* readFileBackwards(path, (line) => {
      last = Option.map(decodeChainedEntry(line), ({ seq, timestamp }) => ({
        seq,
        hash: sha256(`${line}\n`),
        timestamp
      }))
      return Option.isNone(last)
    })
    if (Option.isSome(last)) return last
  }
  return Option.none()
})

interface Opened {
  readonly path: string
  readonly name: string
  readonly handle: fs.promises.FileHandle
}

/** Opens the archives and the log, oldest first; tries again if a rotation happened meanwhile. */
const openAll = Effect.fnUntraced(function* (auditPath: string) {
  for (let tries = 1; ; tries += 1) {
    const opened: Array<Opened> = []
    for (const path of yield* namesOf(auditPath)) {
      const handle = yield* open(path)
      if (handle !== undefined) opened.push({ path, name: basename(path), handle })
    }
    // The log is opened last, so a rotation shows as another inode at some path.
    const unchanged = yield* Effect.forEach(opened, ({ handle, path }) =>
      attempt("stat", path, async () => {
        const [current, ours] = [await fs.promises.stat(path).catch(() => undefined), await handle.stat()]
        return current?.ino === ours.ino && current.dev === ours.dev
      })
    )
    // A listing during renames can miss a file.
    const isComplete = (yield* namesOf(auditPath)).length === opened.length || opened.length === 0
    if (tries === maxTries || (isComplete && unchanged.every(Boolean))) return opened
    for (const { handle } of opened) yield* Effect.promise(() => handle.close())
  }
})

/** Passes on every complete line of the archives and the log, oldest first, with its line feed; `pause` runs after each chunk. */
export const readForwards = (configuredPath: string, visit: (line: Buffer) => void, pause: Effect.Effect<void>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const auditPath = yield* attemptSync("resolve", configuredPath, () => resolveLink(configuredPath))
      for (const { handle, name } of yield* openAll(auditPath)) yield* readLines(handle, name, visit, pause)
    })
  )

/** More rotations than a daemon can do while files are opened. */
const maxTries = 100

const namesOf = (auditPath: string) =>
  attempt("list the archives of", auditPath, async () => [
    ...findArchiveNumbers(auditPath)
      .toReversed()
      .map((number) => `${auditPath}.${number}`),
    auditPath
  ]).pipe(orIfMissing([auditPath]))

const open = (path: string) =>
  Effect.acquireRelease(
    attempt("read", path, async () => {
      // O_NONBLOCK: opening a pipe must not wait for its writer.
      const handle = await fs.promises.open(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
      if ((await handle.stat()).isFile()) return handle
      await handle.close()
      throw new Error("not a regular file")
    }).pipe(orIfMissing(undefined)),
    (handle) => Effect.promise(async () => await handle?.close())
  )

const chunkLength = 256 * 1024
/** About a millisecond of work. */
const smallChunkLength = 16 * 1024
const lineFeed = 0x0a
/** Time for the daemon to complete a line that it is writing; a torn line stays incomplete. */
const completionTimeout = "100 millis"

/** Passes on every complete line; returns the number of bytes after the last one. */
const readLines = Effect.fnUntraced(function* (
  handle: fs.promises.FileHandle,
  name: string,
  add: (line: Buffer) => void,
  pause: Effect.Effect<void> | undefined
) {
  const length = pause === undefined ? chunkLength : smallChunkLength
  let rest: Array<Buffer> = []
  let hasWaited = false
  for (let position = 0; ;) {
    const buffer = Buffer.alloc(length)
    const { bytesRead } = yield* attempt("read", name, () => handle.read(buffer, 0, length, position))
    const torn = rest.reduce((sum, { length }) => sum + length, 0)
    if (bytesRead === 0 && (torn === 0 || hasWaited)) return torn
    if (bytesRead === 0) {
      hasWaited = true
      yield* Effect.sleep(completionTimeout)
      continue
    }
    hasWaited = false
    position += bytesRead
    const chunk = buffer.subarray(0, bytesRead)
    let from = 0
    for (let at = chunk.indexOf(lineFeed); at >= 0; at = chunk.indexOf(lineFeed, from)) {
      add(Buffer.concat([...rest, chunk.subarray(from, at + 1)]))
      rest = []
      from = at + 1
    }
    if (from < chunk.length) rest.push(chunk.subarray(from))
    if (pause !== undefined) yield* pause
  }
})
