/**
 * The archives of a rotated log: NAME.1 is the newest, NAME.2 the one before, and so on.
 *
 * Only the writer renames them. A reader keeps an `Archive` and resolves its path when
 * it opens it, so a rotation in between does not confuse it. Methods throw what
 * node:fs throws. The contents are not this file's job.
 */
import * as fs from "node:fs"
import * as path from "node:path"

export interface Archive {
  /** The suffix of the file name; grows with each rotation. */
  number: number
}

export class LogArchives {
  private readonly path: string
  /** Newest first. */
  private archives: Array<Archive> = []

  constructor(log: string) {
    this.path = log
    this.refresh()
  }

  /** Lists the files again, after another process may have renamed some. */
  refresh(): void {
    this.archives = findArchiveNumbers(this.path).map((number) => ({ number }))
  }

  /** Returns the archives, newest first. */
  all(): ReadonlyArray<Archive> {
    return [...this.archives]
  }

  pathOf(archive: Archive): string {
    return `${this.path}.${archive.number}`
  }

  /** Renames the log to the newest archive, and moves the older archives up where needed. */
  archiveCurrent(): void {
    const occupied = this.archives.filter(({ number }, at) => number === at + 1)
    for (const archive of occupied.toReversed()) {
      fs.renameSync(this.pathOf(archive), `${this.path}.${archive.number + 1}`)
      archive.number += 1
    }
    const newest = { number: 1 }
    fs.renameSync(this.path, this.pathOf(newest))
    this.archives.unshift(newest)
  }

  /** Removes the oldest archives beyond `keep`, while `canDrop` agrees to the files that would remain, oldest first. */
  dropOldest(keep: number, canDrop: (remaining: ReadonlyArray<string>) => boolean): void {
    for (let oldest = this.archives.at(-1); oldest !== undefined; oldest = this.archives.at(-1)) {
      const remaining = this.archives.slice(0, -1).map((archive) => this.pathOf(archive))
      if (this.archives.length <= keep || !canDrop([...remaining.toReversed(), this.path])) return
      removeInBackground(this.pathOf(oldest))
      this.archives.pop()
    }
  }
}

/** Unlinks a file while it is open: freeing the blocks of a large file then happens in the thread that closes it. */
const removeInBackground = (file: string): void => {
  let descriptor: number | undefined
  try {
    descriptor = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  } catch {
    // A file that cannot be opened is unlinked all the same.
  }
  try {
    fs.rmSync(file, { force: true })
  } finally {
    if (descriptor !== undefined) fs.close(descriptor)
  }
}

/** Finds the numbers of a log's archives, lowest first. Only regular files count: reading a pipe would block. */
export const findArchiveNumbers = (log: string): ReadonlyArray<number> => {
  const prefix = `${path.basename(log)}.`
  return fs
    .readdirSync(path.dirname(log))
    .filter((name) => name.startsWith(prefix) && /^[1-9]\d{0,5}$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .filter((number) => fs.statSync(`${log}.${number}`, { throwIfNoEntry: false })?.isFile() === true)
    .toSorted((a, b) => a - b)
}
