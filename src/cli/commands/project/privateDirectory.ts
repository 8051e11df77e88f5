/**
 * Makes a temporary directory for values: in XDG_RUNTIME_DIR, which is in memory, if possible.
 * Throws where another user could replace it.
 */
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { unsafePath } from "../../../process/pathOwners.ts"

export const makePrivateDirectory = (prefix: string): string => {
  const parent = process.env["XDG_RUNTIME_DIR"] || tmpdir()
  const unsafe = unsafePath(path.resolve(parent))
  if (unsafe !== undefined) throw new Error(unsafe.reason)
  return fs.mkdtempSync(path.join(parent, prefix))
}
