/**
 * The closed files of a log that is rotated: NAME.1 is the youngest, NAME.2 the one
 * before, and so on. It knows names and their order, not what is in the files.
 *
 * The one writer renames them. Whoever reads holds on to an `Archive` and asks for
 * its path when it opens it, so a rotation in between leads nobody astray. Calls
 * throw what node:fs throws.
 */
import * as fs from "node:fs"
import * as path from "node:path"

export interface Archive {
  /** What stands behind the name; grows with each rotation. */
  number: number
}

export class LogArchives {
  private readonly path: string
  /** Youngest first. */
  private archives: Array<Archive> = []

  constructor(log: string) {
    this.path = log
    this.refresh()
  }

  /** Finds what is there, after somebody else may have renamed files. */
  refresh(): void {
    this.archives = findArchiveNumbers(this.path).map((number) => ({ number }))
  }

  /** Youngest first. */
  all(): ReadonlyArray<Archive> {
    return [...this.archives]
  }

  pathOf(archive: Archive): string {
    return `${this.path}.${archive.number}`
  }

  /** Gives the log's file the name of the youngest archive; the others make room. */
  archiveCurrent(): void {
    const crowded = this.archives.filter(({ number }, at) => number === at + 1)
    for (const archive of crowded.toReversed()) {
      fs.renameSync(this.pathOf(archive), `${this.path}.${archive.number + 1}`)
      archive.number += 1
    }
    const youngest = { number: 1 }
    fs.renameSync(this.path, this.pathOf(youngest))
    this.archives.unshift(youngest)
  }

  /** Removes the oldest for as long as there are more than `keep` and `mayGo` agrees, given what would be left, oldest first. */
  dropOldest(keep: number, mayGo: (left: ReadonlyArray<string>) => boolean): void {
    for (let oldest = this.archives.at(-1); oldest !== undefined; oldest = this.archives.at(-1)) {
      const left = this.archives.slice(0, -1).map((archive) => this.pathOf(archive))
      if (this.archives.length <= keep || !mayGo([...left.toReversed(), this.path])) return
      removeBehind(this.pathOf(oldest))
      this.archives.pop()
    }
  }
}

/** The name is gone at once; what takes its time for a large file, to free it on the disk, is done by another thread with the closing. */
const removeBehind = (file: string): void => {
  let descriptor: number | undefined
  try {
    descriptor = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  } catch {
    // It is gone, or cannot be opened; its name goes all the same.
  }
  try {
    fs.rmSync(file, { force: true })
  } finally {
    if (descriptor !== undefined) fs.close(descriptor)
  }
}

/** The numbers of a log's archives, youngest first. What is no file is none: to read a pipe would be to wait. */
export const findArchiveNumbers = (log: string): ReadonlyArray<number> => {
  const prefix = `${path.basename(log)}.`
  return fs
    .readdirSync(path.dirname(log))
    .filter((name) => name.startsWith(prefix) && /^[1-9]\d{0,5}$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .filter((number) => fs.statSync(`${log}.${number}`, { throwIfNoEntry: false })?.isFile() === true)
    .toSorted((a, b) => a - b)
}
