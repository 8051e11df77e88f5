/**
 * Runs the program for some user of some system, in its own eyes alone: root has no service
 * of its own, and nobody else one of the system, and tests run as anybody, anywhere.
 *
 *     node inTheEyesOf.mjs PLATFORM UID PROGRAM ARGUMENTS...
 */
import * as fs from "node:fs"
import * as vm from "node:vm"

const os = process.getBuiltinModule("node:os")
const [, , platform, uid, program] = process.argv
os.userInfo = () => ({ uid: Number(uid), gid: 1, username: "somebody", homedir: "/nonexistent", shell: null })
Object.defineProperty(process, "platform", { value: platform })
process.argv.splice(1, 4, program)
vm.runInThisContext(fs.readFileSync(program, "utf8").replace(/^#!.*/, ""), {
  filename: program,
  importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
})
