/**
 * A disk that gets full, for one daemon alone: a small tmpfs on its state directory,
 * in a mount namespace of its own. Where the system lets nobody do that, a limit on
 * the size of its files stands in: they cannot grow either, and room is made by
 * moving the log away.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"

export interface SmallDisk {
  /** A shell command line that runs the program, "$@", with the disk. */
  readonly through: string
  /** The state directory of a running daemon, seen from outside. */
  readonly directory: (pid: number) => string
  /** Leaves so many bytes free. */
  readonly leave: (pid: number, bytes: number) => void
  /** Makes room again. */
  readonly free: (pid: number) => void
}

const mounting = `mount -t tmpfs -o size=400k,mode=0700 tmpfs "$0" && exec "$@"`

/** A disk for the daemon whose state directory this is; it must be there. */
export const smallDisk = (directory: string): SmallDisk => {
  const unshare = ["unshare -m", "unshare -Urm"].find((way) => works(`${way} sh -c '${mounting}' "${directory}" true`))
  return unshare === undefined ? limited(directory) : mounted(directory, unshare)
}

const works = (line: string): boolean => {
  try {
    execFileSync("/bin/sh", ["-c", line], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

const mounted = (directory: string, unshare: string): SmallDisk => {
  const seen = (pid: number) => `/proc/${pid}/root${fs.realpathSync(directory)}`
  const filler = (pid: number) => path.join(seen(pid), "filler")
  return {
    through: `exec ${unshare} sh -c '${mounting}' "${directory}" "$@"`,
    directory: seen,
    leave: (pid, bytes) => {
      fs.rmSync(filler(pid), { force: true })
      const { bavail, bsize } = fs.statfsSync(seen(pid))
      fs.writeFileSync(filler(pid), Buffer.alloc(Math.max(0, bavail * bsize - bytes)))
    },
    free: (pid) => fs.rmSync(filler(pid), { force: true })
  }
}

const limited = (directory: string): SmallDisk => ({
  through: `ulimit -f 64; trap '' XFSZ; exec "$@"`,
  directory: () => directory,
  leave: () => undefined,
  free: () => fs.renameSync(path.join(directory, "audit.log"), path.join(directory, "audit.log.1"))
})
