/**
 * The usual case of `pathOwners`, in as little code as the fast path can bear.
 */
import { lstatSync } from "node:fs"

/** Returns whether the socket and every directory above it is root's or this user's, and no one else's to write. */
export const isOwnPath = (socketPath: string): boolean => {
  try {
    for (let end = 0; end >= 0; end = socketPath.indexOf("/", end + 1))
      if (!isOwn(socketPath.slice(0, end) || "/")) return false
    return isOwner(lstatSync(socketPath).uid)
  } catch {
    return false
  }
}

/** Returns false for a link as well, which has all permissions. */
const isOwn = (directory: string): boolean => {
  const { mode, uid } = lstatSync(directory)
  return isOwner(uid) && ((mode & 0o022) === 0 || (mode & 0o041000) === 0o041000)
}

const isOwner = (uid: number): boolean => uid === 0 || uid === process.geteuid?.()
