/**
 * The controlling terminal of this process: the one whose keys and whose end send it signals.
 */
import * as fs from "node:fs"

/** Returns whether there is one. Standard input and output need not be it: ssh, git and sudo open this path. */
export const hasControllingTerminal = (): boolean => {
  try {
    fs.closeSync(fs.openSync("/dev/tty", fs.constants.O_RDWR | fs.constants.O_NOCTTY))
    return true
  } catch {
    return false
  }
}
