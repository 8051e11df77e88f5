/**
 * Which process holds a lock, or listens on a socket, as Linux tells it.
 *
 * For messages only; nothing is decided by it. /proc shows a process to its own
 * user and to root. Where it does not, or where there is no /proc, nobody is named.
 * Neither file is opened: a lock file that its holder opens once more is free.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"

/** The process that holds a lock for writing on a file. */
export const findLockOwner = (file: string): Effect.Effect<number | undefined> =>
  orNobody(async () => {
    const { dev, ino } = await fs.promises.stat(file, { bigint: true })
    const held = (await fs.promises.readFile("/proc/locks", "utf8")).split("\n").flatMap((line) => {
      const [, pid, device, inode] = /^\d+: \S+ +\S+ +WRITE (\d+) (\w+:\w+):(\d+) /.exec(line) ?? []
      return inode === String(ino) && pid !== "0" ? [{ pid: Number(pid), device }] : []
    })
    // A file system of several volumes has another device number there than in stat.
    const exact = held.filter(({ device }) => device === deviceName(dev))
    return onlyOne((exact.length > 0 ? exact : held).map(({ pid }) => pid))
  })

/**
 * The process that listens on a socket file, whatever it is made of and also if it hangs. The system knows a socket by the
 * name it was bound to; one that was renamed since is known by being the only such one of its directory.
 */
export const findListener = (socketPath: string): Effect.Effect<number | undefined> =>
  orNobody(async () => {
    const own = await fs.promises.lstat(socketPath)
    const home = await fs.promises.realpath(path.dirname(socketPath))
    const bound: Array<string> = []
    const renamed: Array<string> = []
    for (const line of (await fs.promises.readFile("/proc/net/unix", "utf8")).split("\n")) {
      const [, inode, name] = /^\S+ \S+ \S+ 00010000 \S+ \S+ +(\d+) (\/.*)$/.exec(line) ?? []
      if (inode === undefined || name === undefined) continue
      if ((await fs.promises.realpath(path.dirname(name)).catch(() => "")) !== home) continue
      const there = await fs.promises.lstat(name).catch(() => undefined)
      if (there === undefined) renamed.push(inode)
      else if (there.dev === own.dev && there.ino === own.ino) bound.push(inode)
    }
    const inodes = bound.length > 0 ? bound : renamed
    return inodes.length === 0 ? undefined : onlyOne(await processesWith(inodes.map((inode) => `socket:[${inode}]`)))
  })

/** The processes that have one of these files open. */
const processesWith = async (links: ReadonlyArray<string>): Promise<ReadonlyArray<number>> => {
  const found: Array<number> = []
  for (const pid of (await fs.promises.readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const descriptors = path.join("/proc", pid, "fd")
    for (const name of await fs.promises.readdir(descriptors).catch(() => [])) {
      if (links.includes(await fs.promises.readlink(path.join(descriptors, name)).catch(() => "")))
        found.push(Number(pid))
    }
  }
  return found
}

/** Two that may be meant are as good as none. */
const onlyOne = (pids: ReadonlyArray<number>): number | undefined => {
  const [pid, other] = new Set(pids)
  return other === undefined ? pid : undefined
}

/** As /proc/locks writes it; where the bits are: makedev(3). */
const deviceName = (dev: bigint): string => {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n)
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n)
  return [major, minor].map((part) => part.toString(16).padStart(2, "0")).join(":")
}

const orNobody = (look: () => Promise<number | undefined>): Effect.Effect<number | undefined> =>
  Effect.orElseSucceed(Effect.tryPromise(look), () => undefined)
