/**
 * The open descriptors that we were started with, beside standard input, output and error.
 * A shell hands them on, as in `3<file`; Node marks the lowest ones to be closed in programs
 * that it starts.
 *
 * None of our own is among them. On Linux /proc tells them apart. Elsewhere pipes are left
 * out, because Node's own look alike.
 */
import * as fs from "node:fs"

interface OpenDescriptor {
  readonly fd: number
  /** What /proc shows, such as `pipe:[4711]` or a path. */
  readonly target: string
  /** The open(2) flags. */
  readonly flags: number
}

const closeOnExec = 0o2000000
/** Node marks the descriptors up to this one; Bun marks none, and closes some of them itself. */
const lastMarked = 15
const accessMode = fs.constants.O_RDONLY | fs.constants.O_WRONLY | fs.constants.O_RDWR
const ownKinds = /^anon_inode:\[?(eventpoll|eventfd|io_uring|timerfd|signalfd)/

/** Returns those that a program of ours would not get by itself. Call it before any file is opened. */
export const inheritedDescriptors = (): ReadonlyArray<number> => {
  try {
    return process.platform === "linux"
      ? chooseInherited(openDescriptors(), process.env["MAKEFLAGS"])
      : listed("/dev/fd").filter(isNoPipe)
  } catch {
    return []
  }
}

/**
 * Chooses among all open descriptors. A pipe with both ends here is the runtime's, except for the one in which make
 * keeps the number of its jobs.
 */
export const chooseInherited = (open: ReadonlyArray<OpenDescriptor>, makeFlags = ""): ReadonlyArray<number> => {
  const jobs = /--jobserver-(?:auth|fds)=(\d+),(\d+)/.exec(makeFlags)?.slice(1).map(Number) ?? []
  const isOwnPipe = ({ flags, target }: OpenDescriptor) =>
    target.startsWith("pipe:") &&
    open.some((other) => other.target === target && (other.flags & accessMode) !== (flags & accessMode))
  return open
    .filter(
      (one) => ((one.flags & closeOnExec) !== 0 || one.fd <= lastMarked) && (jobs.includes(one.fd) || !isOwnPipe(one))
    )
    .map(({ fd }) => fd)
}

const openDescriptors = (): ReadonlyArray<OpenDescriptor> =>
  listed("/proc/self/fd").flatMap((fd) => {
    try {
      const target = fs.readlinkSync(`/proc/self/fd/${fd}`)
      if (ownKinds.test(target)) return []
      const flags = Number.parseInt(
        /^flags:\s*(\d+)/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "",
        8
      )
      return [{ fd, target, flags }]
    } catch {
      // The listing itself, which is closed by now.
      return []
    }
  })

/** Returns whether it can be handed on; some of the runtime's own have no type at all. */
const isNoPipe = (fd: number): boolean => {
  const { mode } = fs.fstatSync(fd)
  return ![0, fs.constants.S_IFIFO].includes(mode & fs.constants.S_IFMT)
}

const listed = (directory: string): ReadonlyArray<number> =>
  fs
    .readdirSync(directory)
    .map(Number)
    .filter((fd) => fd > 2)
