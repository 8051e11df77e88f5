/**
 * Who could put another file at a path: every user who may write to a directory above it.
 *
 * As sshd does, it wants each of these, and each link on the way, to belong to root or to this
 * user, and to be writable by no one else. In a sticky directory like /tmp, only the owner of a
 * name can replace it. No other user can make it hold or undo it, so one look beside a use is enough.
 * It loads no library: the fast path imports it unless `isOwnPath`.
 */
import { lstatSync, readFileSync, readlinkSync } from "node:fs"
import { dirname } from "node:path"

/** Why a path is not safe, and what to do. */
export interface UnsafePath {
  readonly reason: string
  readonly fix: string
}

interface Stat {
  readonly uid: number
  readonly gid: number
  readonly mode: number
}

interface Place extends Stat {
  readonly path: string
}

/** What the rules depend on, apart from the path. */
export interface PathContext {
  readonly lstat: (path: string) => Stat
  readonly readlink: (path: string) => string
  /** The text of /etc/group. */
  readonly groupFile: () => string
  /** The text of /proc/self/uid_map. */
  readonly uidMap: () => string
  readonly uid: number
  readonly groups: () => ReadonlyArray<number>
  /** The user who called sudo. */
  readonly caller: number | undefined
  /** The group of administrators, who can become root by themselves. */
  readonly admins: number | undefined
}

const thisProcess = (): PathContext => {
  const uid = process.geteuid?.() ?? 0
  const caller = process.env["SUDO_UID"]
  return {
    lstat: lstatSync,
    readlink: (path) => readlinkSync(path),
    groupFile: () => readFileSync("/etc/group", "utf8"),
    uidMap: () => readFileSync("/proc/self/uid_map", "utf8"),
    uid,
    groups: () => [process.getegid?.() ?? 0, ...(process.getgroups?.() ?? [])],
    caller: uid === 0 && caller !== undefined && caller !== "" ? Number(caller) : undefined,
    admins: process.platform === "darwin" ? 80 : undefined
  }
}

/** Returns who else could change or replace a file or a directory. What does not exist yet is safe. */
export const unsafePath = (path: string, context = thisProcess()): UnsafePath | undefined => {
  const { places } = placesOf(path, context)
  return firstUnsafe(places, trustedIn(places, context), context)
}

/**
 * Returns who else could stand behind a socket, or "missing". The daemon of another user is accepted if its socket admits
 * us by a group, whose members are trusted with the values anyway. Root is admitted everywhere, so it accepts no more of
 * such a user than the socket and its directory.
 */
export const unsafeSocket = (socketPath: string, context = thisProcess()): UnsafePath | "missing" | undefined => {
  const { isWhole, places } = placesOf(socketPath, context)
  const socket = places.at(-1)
  if (!isWhole || socket === undefined) return "missing"
  const trusted = trustedIn(places, context)
  if (trusted.has(socket.uid)) return firstUnsafe(places, trusted, context)
  const isAdmitted = (socket.mode & 0o060) === 0o060 && context.groups().includes(socket.gid)
  if (isAdmitted) return firstUnsafe(places, new Set([...trusted, socket.uid]), context)
  if (context.uid !== 0) {
    return {
      reason: `${socket.path} belongs to uid ${socket.uid}, and admits none of your groups`,
      fix: "Use the account the daemon runs for, or admit yours with socket_mode and socket_group"
    }
  }
  const own = [socket.path, dirname(socket.path)]
  const above = places.filter(({ path, uid }) => uid !== socket.uid || !own.includes(path))
  return firstUnsafe(above, trusted, context)
}

/** Returns root, also in a user namespace that does not map its number; this user; and the one who called sudo. */
const trustedIn = ([root]: ReadonlyArray<Place>, context: PathContext): ReadonlySet<number> =>
  new Set([0, context.uid, root?.uid ?? 0, context.caller ?? context.uid, unmappedRoot(context)])

/**
 * Returns the number of root in a user namespace without it, where / may be of a sandbox like bubblewrap. /proc/sys is
 * always root's; the number counts only if no user of the namespace can have it.
 */
const unmappedRoot = ({ lstat, uidMap }: PathContext): number => {
  try {
    const { uid } = lstat("/proc/sys")
    const ranges = uidMap()
      .trim()
      .split("\n")
      .map((line) => line.trim().split(/\s+/).map(Number))
    return ranges.some(([first = 0, , count = 0]) => uid >= first && uid < first + count) ? 0 : uid
  } catch {
    return 0
  }
}

const firstUnsafe = (
  places: ReadonlyArray<Place>,
  trusted: ReadonlySet<number>,
  context: PathContext
): UnsafePath | undefined => {
  for (const place of places) {
    const { gid, mode, path, uid } = place
    if (!trusted.has(uid)) {
      return {
        reason: `${path} belongs to uid ${uid}, who could put something else there`,
        fix: "Choose a place below directories of yours or of root, or give that one to its user with chown"
      }
    }
    if (!isChecked(kindOf(mode)) || (mode & sticky) !== 0) continue
    const octal = (mode & 0o7777).toString(8)
    if ((mode & 0o002) !== 0) {
      const reason = `${path} is writable by other users (mode ${octal})`
      return { reason, fix: modeHint("go-w", place, context.uid) ?? chooseOther }
    }
    if ((mode & 0o020) !== 0 && !isPrivate(place, context)) {
      return {
        reason: `${path} is writable by other users in the group ${gid} (mode ${octal})`,
        fix: modeHint("g-w", place, context.uid) ?? chooseOther
      }
    }
  }
  return undefined
}

const chooseOther = "Choose a place that no other user can write to"

/**
 * Returns the command that changes the mode of a path. Returns undefined if that would harm others: a directory of root is
 * the system's, and a sticky one, such as /tmp, is shared on purpose.
 */
export const modeHint = (
  change: string,
  { mode, path, uid }: Omit<Place, "gid">,
  user = process.geteuid?.() ?? 0
): string | undefined => (uid === user && (mode & sticky) === 0 ? `Run: chmod ${change} ${path}` : undefined)

const sticky = 0o1000
const [directory, file, link] = [0o040000, 0o100000, 0o120000]
/** Returns whether the mode states who may write. That of a link means nothing, that of a socket who may connect. */
const isChecked = (kind: number): boolean => kind === directory || kind === file
const kindOf = (mode: number): number => mode & 0o170000

/** Returns whether the group has no member but the owner, as the one that many systems make, or administrators. */
const isPrivate = ({ gid, uid }: Place, { admins, groupFile }: PathContext): boolean => {
  if (gid === admins) return true
  if (gid !== uid) return false
  try {
    const groups = groupFile()
      .split("\n")
      .map((line) => line.split(":"))
    const [name, , , members] = groups.find(([, , id]) => id === `${gid}`) ?? []
    return members === "" || (members !== undefined && members === name)
  } catch {
    return false
  }
}

const maxLinks = 40

/** Returns everything on the way to a path, from / on, with its links and where they lead; it may end too early. */
const placesOf = (path: string, { lstat, readlink }: PathContext) => {
  const places: Array<Place> = []
  const ahead = path.split("/")
  let [at, links] = ["", 0]
  const look = (path: string): Place => {
    const { gid, mode, uid } = lstat(path)
    places.push({ path, uid, gid, mode })
    return { path, uid, gid, mode }
  }
  try {
    look("/")
    for (let name = ahead.shift(); name !== undefined; name = ahead.shift()) {
      if (name === "..") at = at.slice(0, Math.max(0, at.lastIndexOf("/")))
      if (name === "" || name === "." || name === "..") continue
      const place = look(`${at}/${name}`)
      if (kindOf(place.mode) !== link) at = place.path
      else {
        const target = readlink(place.path)
        if (target.startsWith("/")) at = ""
        if ((links += 1) > maxLinks) return { places, isWhole: false }
        ahead.unshift(...target.split("/"))
      }
    }
    return { places, isWhole: true }
  } catch {
    return { places, isWhole: false }
  }
}
