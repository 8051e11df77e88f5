/**
 * Runs the program for somebody who is not root, on Linux, in its own eyes alone:
 * root has no service of its own, and tests run as root as well, and on macOS.
 *
 *     node notRoot.mjs PROGRAM ARGUMENTS...
 */
import * as fs from "node:fs"
import * as vm from "node:vm"

const os = process.getBuiltinModule("node:os")
const { userInfo } = os
os.userInfo = () => ({ ...userInfo(), uid: userInfo().uid || 1000 })

Object.defineProperty(process, "platform", { value: "linux" })

const [, , program] = process.argv
process.argv.splice(1, 2, program)
vm.runInThisContext(fs.readFileSync(program, "utf8").replace(/^#!.*/, ""), {
  filename: program,
  importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
})
