/**
 * The library that gives the program a Mac's slow flushes and short queues on Linux. It is
 * compiled where there is a C compiler.
 */
import { spawnSync } from "node:child_process"
import * as path from "node:path"

/** Milliseconds that a flush of a drive takes on Apple's machines. */
export const macFlush = 20

/** Compiles the library into a directory; undefined without a compiler, or elsewhere than on Linux. */
export const buildMacShim = (directory: string): string | undefined => {
  if (process.platform !== "linux") return undefined
  const library = path.join(directory, "mac-shim.so")
  const source = path.join(import.meta.dirname, "../torture/mac/shim.c")
  const { status } = spawnSync("cc", ["-O2", "-Wall", "-shared", "-fPIC", "-o", library, source, "-ldl"])
  return status === 0 ? library : undefined
}

/** The variables of a program with the library. */
export const macVariables = (library: string, milliseconds = macFlush): Readonly<Record<string, string>> => ({
  LD_PRELOAD: library,
  FLUSH_MICROSECONDS: String(milliseconds * 1000)
})

/** What MAC_SHIM, the path of the library, adds to the environment of every program under test. */
export const givenMacVariables = process.env["MAC_SHIM"] === undefined ? {} : macVariables(process.env["MAC_SHIM"])
