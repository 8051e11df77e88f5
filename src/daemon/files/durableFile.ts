/**
 * Files that are either the old ones or the new ones, never something between.
 *
 * A write goes to a temporary file beside the target, is flushed, checked for
 * its length and renamed over the target; then the directory is flushed. What
 * fails before the rename leaves the target as it was; a directory that cannot be
 * flushed after it is reported as a failure although the file is the new one. One writer at a time per path: the daemon's
 * instance lock sees to that.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import * as path from "node:path"

/** The system refused an operation on a file. The message names the operation, the path and the reason. */
export class FileError extends Schema.TaggedError<FileError>()("FileError", {
  operation: Schema.String,
  path: Schema.String,
  cause: Schema.Unknown
}) {
  /** The system's name for the reason, such as ENOSPC; empty if it gave none. */
  get code(): string {
    return this.cause instanceof Error && "code" in this.cause ? String(this.cause.code) : ""
  }
  override get message() {
    const reason = this.cause instanceof Error ? this.cause.message.replace(/, \w+( '.*')?$/, "") : String(this.cause)
    return `cannot ${this.operation} ${this.path}: ${reason}`
  }
}

/** Runs a promise of node:fs; what it throws becomes a `FileError`. */
export const attempt = <A>(operation: string, file: string, run: () => Promise<A>): Effect.Effect<A, FileError> =>
  Effect.tryPromise({ try: run, catch: (cause) => new FileError({ operation, path: file, cause }) })

/**
 * The same for what is done at once: by way of another thread a small operation takes ten times as long, and a start has
 * fifty of them. Not for what other requests would have to wait for.
 */
export const attemptSync = <A>(operation: string, file: string, run: () => A): Effect.Effect<A, FileError> =>
  Effect.try({ try: run, catch: (cause) => new FileError({ operation, path: file, cause }) })

/** The contents of a regular file, or undefined where there is none. A device is not read, for it may never end. */
export const readIfPresent = (file: string): Effect.Effect<Buffer | undefined, FileError> =>
  attemptSync("read", file, () => {
    if (!fs.statSync(file).isFile()) throw new Error("not a regular file")
    return fs.readFileSync(file)
  }).pipe(
    Effect.catchTag("FileError", (fault) => (fault.code === "ENOENT" ? Effect.succeed(undefined) : Effect.fail(fault)))
  )

/**
 * Replaces a file, mode 0600. With `backup`, the contents before the change stay
 * under that name. `before` is done when the new contents are on the disk and have no
 * name yet. `check` is called right before anything gets its name, and throws if it
 * must not. Cannot be interrupted half-way.
 */
export const replaceFile = (
  file: string,
  contents: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options?: {
    readonly backup?: string
    readonly before?: Effect.Effect<void, FileError>
    readonly check?: () => void
  }
): Effect.Effect<void, FileError> => {
  const temporary = `${file}.tmp`
  const name = async () => {
    options?.check?.()
    if (options?.backup !== undefined) await keepCopy(file, options.backup)
    options?.check?.()
    await fs.promises.rename(temporary, file)
    await flushDirectory(path.dirname(file))
  }
  return attempt("write", file, () => writeNew(temporary, contents)).pipe(
    Effect.andThen(options?.before ?? Effect.void),
    Effect.andThen(attempt("write", file, name)),
    Effect.onError(() => Effect.promise(() => fs.promises.rm(temporary, { force: true }).catch(() => undefined))),
    Effect.uninterruptible
  )
}

/** The same at once, for the small files that are written at a start and at an end. */
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

/** Renames within one directory, and flushes that directory. */
export const renameDurably = (from: string, to: string): Effect.Effect<void, FileError> =>
  attempt("rename", from, async () => {
    await fs.promises.rename(from, to)
    await flushDirectory(path.dirname(to))
  }).pipe(Effect.uninterruptible)

/** Removes a file, if it is there. */
export const removeDurably = (file: string): Effect.Effect<void, FileError> =>
  attempt("remove", file, async () => {
    await fs.promises.rm(file, { force: true })
    await flushDirectory(path.dirname(file))
  }).pipe(Effect.uninterruptible)

/** Takes away what group and others may do with a file; tells whether there was anything to take. */
export const tightenMode = (file: string, mode: number): Effect.Effect<boolean, FileError> =>
  attemptSync("change the mode of", file, () => {
    const found = fs.statSync(file)
    if ((found.mode & 0o077) === 0 || !(found.isFile() || found.isDirectory())) return false
    fs.chmodSync(file, mode)
    return true
  })

const writeNew = async (file: string, contents: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> => {
  await fs.promises.rm(file, { force: true })
  const handle = await fs.promises.open(file, newFile, 0o600)
  try {
    await handle.chmod(0o600)
    let length = 0
    for await (const chunk of contents) {
      await handle.writeFile(chunk)
      length += chunk.length
    }
    await handle.sync()
    checkLength((await handle.stat()).size, length)
  } finally {
    await handle.close()
  }
}

const writeNewSync = (file: string, contents: Buffer): void => {
  fs.rmSync(file, { force: true })
  const descriptor = fs.openSync(file, newFile, 0o600)
  try {
    fs.fchmodSync(descriptor, 0o600)
    fs.writeFileSync(descriptor, contents)
    fs.fsyncSync(descriptor)
    checkLength(fs.fstatSync(descriptor).size, contents.length)
  } finally {
    fs.closeSync(descriptor)
  }
}

const newFile = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL

/** A short write on a full disk must not be renamed into place. */
const checkLength = (size: number, length: number): void => {
  if (size !== length) throw new Error(`wrote ${size} of ${length} bytes`)
}

/** A hard link, so the copy costs nothing and is whole at every moment. */
const keepCopy = async (file: string, backup: string): Promise<void> => {
  const temporary = `${backup}.tmp`
  await fs.promises.rm(temporary, { force: true })
  try {
    await fs.promises.link(file, temporary)
    await fs.promises.rename(temporary, backup)
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "ENOENT")) throw cause
  } finally {
    // Also where all went well: rename(2) does nothing if both names are links to one file, and then leaves both.
    await fs.promises.rm(temporary, { force: true })
  }
}

const flushDirectory = async (directory: string): Promise<void> => {
  const handle = await fs.promises.open(directory, fs.constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Has the names in a directory on the disk. */
export const fsyncDirectorySync = (directory: string): void => {
  const descriptor = fs.openSync(directory, fs.constants.O_RDONLY)
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}
