/**
 * Rejects a file of the daemon that is also its standard output or error, such as /dev/stdout
 * where that is redirected to a file: what the daemon logs would be mixed into it.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { exitStatus } from "../../domain/exitStatus.ts"
import { StartError } from "../files/fileLock.ts"
import { statIfPresent } from "../files/pinDirectory.ts"

/** Fails if one of the files is open as one of these descriptors, by default those of the output. */
export const checkOutput = Effect.fn("checkOutput")(function* (
  files: ReadonlyArray<string>,
  outputs: ReadonlyArray<number> = [1, 2]
) {
  const mixed = files.find((file) => outputs.some((descriptor) => isSameFile(file, descriptor)))
  if (mixed === undefined) return
  return yield* new StartError({
    reason: `${mixed} is the standard output or error of the daemon, which logs there`,
    fix: "Name another file in config.json, or redirect the output elsewhere",
    exitStatus: exitStatus.badConfig
  })
})

const isSameFile = (file: string, descriptor: number): boolean => {
  const found = statIfPresent(file)
  if (found?.isFile() !== true) return false
  try {
    const { dev, ino } = fs.fstatSync(descriptor)
    return dev === found.dev && ino === found.ino
  } catch {
    return false
  }
}
