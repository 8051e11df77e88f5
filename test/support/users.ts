/**
 * The program as several real users, where the tests run as root: a copy of it that all of
 * them can read, and places that are theirs.
 */
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { installProgram, isScript, type RunOptions } from "../harness/program.ts"
import { temporaryDirectory } from "./temporary.ts"

export interface User {
  readonly uid: number
  /** Its own group comes first. */
  readonly groups: readonly [number, ...ReadonlyArray<number>]
}

/** Whether other users can be taken on here. */
export const canBeOthers = process.getuid?.() === 0 && spawnSync("setpriv", ["--version"]).status === 0

/** A directory that everyone can enter, with the program in it, and what runs it as a user. */
export const openPlace = Effect.gen(function* () {
  const root = yield* temporaryDirectory
  fs.chmodSync(root, 0o755)
  const words = [installProgram(path.join(root, "program"))]
  if (isScript) {
    const node = path.join(root, "node")
    try {
      fs.linkSync(process.execPath, node)
    } catch {
      // It is on another file system.
      fs.copyFileSync(process.execPath, node, fs.constants.COPYFILE_FICLONE)
    }
    words.unshift(node)
  }
  const as = ({ groups: [gid, ...more], uid }: User, home: string): RunOptions => {
    const groups = more.length === 0 ? "--clear-groups" : `--groups ${more.join()}`
    const shift = isScript ? 2 : 1
    return {
      home,
      through: `shift ${shift}; exec setpriv --reuid ${uid} --regid ${gid} ${groups} -- ${words.map((word) => `'${word}'`).join(" ")} "$@"`
    }
  }
  /** Makes a directory of a user. */
  const directory = (name: string, { groups: [gid], uid }: User, mode = 0o700): string => {
    const made = path.join(root, name)
    fs.mkdirSync(made, { mode })
    fs.chmodSync(made, mode)
    fs.chownSync(made, uid, gid)
    return made
  }
  return { root, as, directory }
})
