/**
 * A full disk for one daemon: a small tmpfs on its state directory in a mount namespace. Where
 * the system does not permit that, a file size limit replaces it, and moving the log away
 * frees space.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"

export interface SmallDisk {
  /** A shell command that runs the program, "$@", on the disk. */
  readonly through: string
  /** The path of a running daemon's state directory outside the namespace. */
  readonly directory: (pid: number) => string
  /** Fills the disk except for so many bytes. */
  readonly leave: (pid: number, bytes: number) => void
  /** Frees space. */
  readonly free: (pid: number) => void
}

const mounting = `mount -t tmpfs -o size=400k,mode=0700 tmpfs "$0" && exec "$@"`

/** Returns a disk for an existing state directory. */
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
