/**
 * Explains why this user cannot use a file: whose it is, and how to change that.
 *
 * Most often the daemon ran as root once, in the home directory of another user.
 */
import { readFileSync, realpathSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { exitStatus } from "../../domain/exitStatus.ts"
import type { Problem } from "./Output.ts"

/** Adds whose a file is to the problem that this user may not use it; returns any other problem unchanged. */
export const explainAccess = (problem: Problem): Problem => {
  const { code, denied } = problem
  if (denied === undefined) return problem
  return { ...problem, ...(code === "daemon_unavailable" ? socketHint(denied) : accessHint(denied)) }
}

/** Names the group of the socket, or that of its directory, which often is all that this user can see. */
const socketHint = (socketPath: string): Pick<Problem, "fix"> | undefined => {
  for (const [place, bits] of [
    [socketPath, 0o060],
    [dirname(socketPath), 0o010]
  ] as const) {
    try {
      const { gid, mode } = statSync(place)
      return (mode & bits) === bits
        ? { fix: `Join the group ${nameIn("/etc/group", gid)} and log in again` }
        : undefined
    } catch {
      continue
    }
  }
  return undefined
}

/** Returns whose the file is, or the directory that hides it, and what to do; undefined if permissions are not the cause. */
export const accessHint = (file: string, user = process.geteuid?.()): Pick<Problem, "why" | "fix"> | undefined => {
  const place = firstVisible(file)
  if (user === undefined || user === 0 || place === undefined) return undefined
  const { path, stat } = place
  const isDirectory = stat.isDirectory()
  if (stat.uid === user) {
    const needed = isDirectory ? 0o700 : 0o600
    if ((stat.mode & needed) === needed) return undefined
    return { why: `${path} denies its owner access`, fix: `Run chmod u+rw${isDirectory ? "x" : ""} ${quoted(path)}` }
  }
  const why = `${path} belongs to ${userName(stat.uid)}, and this is ${userName(user)}`
  // What is in no directory of this user is not theirs to take: it may be the system's, or in another home directory.
  if (!isBelowOwn(path, user)) {
    const isDefault = file.split("/").includes(".agent-secrets")
    const fix = isDefault
      ? "Set HOME to the home directory of this user; with sudo, add -H"
      : "Choose a place in a directory of this user"
    return { why, fix }
  }
  // A directory that others may look into is not one that the daemon made, and may hold other things.
  const isState = isDirectory && (stat.mode & 0o077) === 0 && (path === file || path === dirname(file))
  return { why, fix: `Give it to this user: sudo chown ${isState ? "-R " : ""}${account(user)}: ${quoted(path)}` }
}

/** Returns whether a directory above the path, past its links, belongs to the user. */
const isBelowOwn = (path: string, user: number): boolean => {
  const parent = dirname(realpathSync(path))
  return parent !== path && (statSync(parent).uid === user || isBelowOwn(parent, user))
}

/**
 * Returns why this user must not create files in the state directory: they could not be used by the user it belongs to. A
 * directory that does not exist yet counts as that of its parent's owner. `home` is HOME if the directory is the default
 * one in it; macOS's sudo keeps the caller's. Otherwise only root is refused: others are let in by permissions on purpose.
 */
export const foreignDirectory = (
  directory: string,
  command: string,
  home: string | undefined,
  user = process.geteuid?.()
): Pick<Problem, "message" | "fix" | "exitStatus"> | undefined => {
  const place = firstVisible(directory)
  if (user === undefined || place === undefined) return undefined
  const { path, stat } = place
  const isOfHome = home !== undefined && firstVisible(home)?.stat.uid === stat.uid
  // Below a directory of root, other users own what they create, as in /tmp or on a mounted volume.
  if (stat.uid === user || (user !== 0 && (stat.uid === 0 || !isOfHome))) return undefined
  const [owner, self] = [userName(stat.uid), userName(user)]
  const as = (uid: number) => asUser(uid, command)
  if (!isOfHome) {
    return {
      message: `${path} belongs to ${owner}, and this is ${self}`,
      fix: `Run it as that user: ${as(stat.uid)}`,
      exitStatus: exitStatus.cannotCreate
    }
  }
  return {
    message: `HOME is ${home}, which belongs to ${owner}, and this is ${self}`,
    fix: user === 0 ? `Run it as that user: ${as(stat.uid)}` : `Use the home directory of this user: ${as(user)}`,
    exitStatus: exitStatus.badConfig
  }
}

/** Returns the command of a socket's owner; the command alone if the owner cannot be seen. */
export const asOwnerOf = (socketPath: string, command: string): string => {
  try {
    return asUser(statSync(socketPath).uid, command)
  } catch {
    return command
  }
}

const asUser = (uid: number, command: string): string => `sudo -H -u ${quoted(account(uid, "#"))} ${command}`

/** Finds the file, or the first directory above it that can be seen. */
const firstVisible = (file: string) => {
  for (let path = file; ; path = dirname(path)) {
    try {
      return { path, stat: statSync(path) }
    } catch {
      if (path === dirname(path)) return undefined
    }
  }
}

const userName = (uid: number): string => {
  const name = account(uid)
  return name === String(uid) ? `uid ${uid}` : `${name} (uid ${uid})`
}

const account = (uid: number, beforeNumber = ""): string => nameIn("/etc/passwd", uid, beforeNumber)

/** Returns the name of a user or a group if the file has it, otherwise the number; macOS keeps some elsewhere. */
const nameIn = (file: string, id: number, beforeNumber = ""): string => {
  const number = `${beforeNumber}${id}`
  try {
    const lines = readFileSync(file, "utf8").split("\n")
    return lines.find((line) => line.split(":")[2] === `${id}`)?.split(":")[0] ?? number
  } catch {
    return number
  }
}

const quoted = (word: string): string => (/^[\w./:@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)
