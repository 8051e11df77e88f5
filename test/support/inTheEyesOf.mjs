/**
 * Runs the program on Linux for some user, in its own eyes alone: root has no service
 * of its own, and nobody else one of the system, and tests run as anybody, anywhere.
 *
 *     node inTheEyesOf.mjs UID PROGRAM ARGUMENTS...
 */
import * as fs from "node:fs"
import * as vm from "node:vm"

const os = process.getBuiltinModule("node:os")
const { userInfo } = os
const [, , uid, program] = process.argv
os.userInfo = () => ({ ...userInfo(), uid: Number(uid) })

Object.defineProperty(process, "platform", { value: "linux" })
process.argv.splice(1, 3, program)
vm.runInThisContext(fs.readFileSync(program, "utf8").replace(/^#!.*/, ""), {
  filename: program,
  importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
})
