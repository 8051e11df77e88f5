/**
 * Atomic, durable writes: a file has its old contents or its new ones, never a mix.
 *
 * A failure before the rename leaves the target unchanged; if flushing the directory fails,
 * the write fails although the target is new. The caller allows one writer per path.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { counted } from "../../domain/counted.ts"
import { fileErrorText, systemErrorCode } from "../../domain/systemError.ts"

/** A file operation failed. The message names the operation, the path and the reason. */
export class FileError extends Data.TaggedError("FileError")<{
  readonly operation: string
  readonly path: string
  readonly cause: unknown
}> {
  /** The system's error code, such as ENOSPC; empty if there is none. */
  get code(): string {
    return this.cause instanceof Error ? (systemErrorCode(this.cause) ?? "") : ""
  }
  override get message() {
    return `cannot ${this.operation} ${this.path}: ${fileErrorText(this.cause)}`
  }
}

/** Runs a promise of node:fs and turns its rejection into a `FileError`. */
export const attempt = <A>(operation: string, file: string, run: () => Promise<A>): Effect.Effect<A, FileError> =>
  Effect.tryPromise({ try: run, catch: (cause) => new FileError({ operation, path: file, cause }) })

/** Runs a synchronous call: faster for small operations at a start, but it blocks all requests. */
export const attemptSync = <A>(operation: string, file: string, run: () => A): Effect.Effect<A, FileError> =>
  Effect.try({ try: run, catch: (cause) => new FileError({ operation, path: file, cause }) })

/** Reads a regular file; undefined if it does not exist. Rejects devices and pipes, which may never end. */
export const readIfPresent = (file: string): Effect.Effect<Buffer | undefined, FileError> =>
  Effect.map(readStamped(file), (found) => found?.contents)

/** What identifies a version of a file without reading it. A link or a rename changes `ctime` alone. */
export interface FileStamp {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
  readonly mtime: bigint
  /** Undefined if it was not known after the last write. */
  readonly ctime: bigint | undefined
}

export const stampOf = ({ dev, ino, size, mtimeNs, ctimeNs }: fs.BigIntStats): FileStamp => ({
  dev,
  ino,
  size,
  mtime: mtimeNs,
  ctime: ctimeNs
})

/** Reads a file like `readIfPresent`, with the stamp of what was read. */
export const readStamped = (file: string) =>
  attemptSync("read", file, () => readStampedSync(file)).pipe(orIfMissing(undefined))

export const readStampedSync = (file: string): { readonly contents: Buffer; readonly stamp: FileStamp } => {
  // Before it is opened: opening a device may act.
  if (!fs.statSync(file).isFile()) throw new Error("not a regular file")
  const descriptor = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  try {
    const stat = fs.fstatSync(descriptor, { bigint: true })
    if (!stat.isFile()) throw new Error("not a regular file")
    return { contents: fs.readFileSync(descriptor), stamp: stampOf(stat) }
  } finally {
    fs.closeSync(descriptor)
  }
}

/** Returns whether a system call failed with this code. */
export const hasCode = (cause: unknown, code: string): boolean =>
  cause instanceof Error && "code" in cause && cause.code === code

/** Replaces the failure of a file that does not exist by a result. */
export const orIfMissing =
  <B>(otherwise: B) =>
  <A>(read: Effect.Effect<A, FileError>): Effect.Effect<A | B, FileError> =>
    Effect.catchTag(read, "FileError", (error) =>
      error.code === "ENOENT" ? Effect.succeed(otherwise) : Effect.fail(error)
    )

/**
 * Replaces a file, with mode 0600; it cannot be interrupted. `backup` keeps the old contents under that name. `before`
 * runs when the new contents are on disk but not renamed yet. `check` runs before each rename and throws to prevent it.
 * `isRebuilt`: a start can rebuild the file from the audit log. Returns the stamp of the new file.
 */
export const replaceFile = (
  file: string,
  contents: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options?: {
    readonly backup?: string
    readonly before?: Effect.Effect<void, FileError>
    readonly check?: () => void
    readonly isRebuilt?: boolean
  }
): Effect.Effect<FileStamp, FileError> => {
  const temporary = `${file}.tmp`
  const rename = async () => {
    options?.check?.()
    if (options?.backup !== undefined) await keepBackup(file, options.backup)
    options?.check?.()
    await fs.promises.rename(temporary, file)
    if (!(options?.isRebuilt === true && flushesRenames())) await fsyncDirectory(path.dirname(file))
  }
  return attempt("write", file, () => writeNew(temporary, contents)).pipe(
    Effect.tap(options?.before ?? Effect.void),
    Effect.tap(attempt("write", file, rename)),
    Effect.onError(() => Effect.promise(() => fs.promises.rm(temporary, { force: true }).catch(() => undefined))),
    Effect.uninterruptible
  )
}

/** Replaces a small file synchronously, at a start or a stop. */
export const replaceFileSync = (file: string, text: string): Effect.Effect<void, FileError> =>
  attemptSync("write", file, () => {
    const temporary = `${file}.tmp`
    try {
      writeNewSync(temporary, Buffer.from(text, "utf8"))
      fs.renameSync(temporary, file)
      fsyncDirectorySync(path.dirname(file))
    } catch (cause) {
      fs.rmSync(temporary, { force: true })
      throw cause
    }
  })

/** Renames a file within its directory, and flushes the directory. */
export const renameDurably = (from: string, to: string): Effect.Effect<void, FileError> =>
  attempt("rename", from, async () => {
    await fs.promises.rename(from, to)
    await fsyncDirectory(path.dirname(to))
  }).pipe(Effect.uninterruptible)

/** Removes a file if it exists, and flushes the directory. */
export const removeDurably = (file: string): Effect.Effect<void, FileError> =>
  attempt("remove", file, async () => {
    await fs.promises.rm(file, { force: true })
    await fsyncDirectory(path.dirname(file))
  }).pipe(Effect.uninterruptible)

/** Sets the mode if group or others have any permission; returns whether they had. */
export const tightenMode = (file: string, mode: number): Effect.Effect<boolean, FileError> =>
  attemptSync("change the mode of", file, () => {
    const stat = fs.statSync(file)
    if ((stat.mode & 0o077) === 0 || !(stat.isFile() || stat.isDirectory())) return false
    fs.chmodSync(file, mode)
    return true
  })

const writeNew = async (
  file: string,
  contents: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
): Promise<FileStamp> => {
  await fs.promises.rm(file, { force: true })
  const handle = await fs.promises.open(file, createFlags, 0o600)
  try {
    await handle.chmod(0o600)
    let length = 0
    for await (const chunk of contents) {
      await handle.writeFile(chunk)
      length += chunk.length
    }
    await handle.sync()
    const stat = await handle.stat({ bigint: true })
    checkLength(Number(stat.size), length)
    return { ...stampOf(stat), ctime: undefined }
  } finally {
    await handle.close()
  }
}

const writeNewSync = (file: string, contents: Buffer): void => {
  fs.rmSync(file, { force: true })
  const descriptor = fs.openSync(file, createFlags, 0o600)
  try {
    fs.fchmodSync(descriptor, 0o600)
    fs.writeFileSync(descriptor, contents)
    fs.fsyncSync(descriptor)
    checkLength(fs.fstatSync(descriptor).size, contents.length)
  } finally {
    fs.closeSync(descriptor)
  }
}

const createFlags = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL

/** Rejects a short write, as on a full disk, before the rename. */
const checkLength = (size: number, length: number): void => {
  if (size !== length) throw new Error(`wrote ${size} of ${counted(length, "byte")}`)
}

/**
 * Keeps the file as a hard link: no copy, and complete at every moment. Some file systems have no hard links, and some
 * systems allow them to the owner only; the file is then copied.
 */
const keepBackup = async (file: string, backup: string): Promise<void> => {
  const temporary = `${backup}.tmp`
  await fs.promises.rm(temporary, { force: true })
  try {
    try {
      await fs.promises.link(file, temporary)
    } catch (cause) {
      if (hasCode(cause, "ENOENT")) return
      await writeNew(temporary, [await fs.promises.readFile(file)])
    }
    await fs.promises.rename(temporary, backup)
  } finally {
    // rename(2) leaves both names if they are links to one file.
    await fs.promises.rm(temporary, { force: true })
  }
}

const fsyncDirectory = async (directory: string): Promise<void> => {
  const handle = await fs.promises.open(directory, fs.constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Returns whether a flush of a file also writes the renames before it to the disk. It does on macOS, where it empties the cache
 * of the drive and takes many times as long. A file that the log can rebuild then needs no flush of its directory: at
 * worst, a power cut leaves the version before.
 */
export const flushesRenames = (): boolean => process.platform === "darwin"

/** Flushes a directory, so that renames in it are durable. */
export const fsyncDirectorySync = (directory: string): void => {
  const descriptor = fs.openSync(directory, fs.constants.O_RDONLY)
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}
