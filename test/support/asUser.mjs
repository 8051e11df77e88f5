/**
 * Runs the program as an ordinary user where the tests run as root:
 *
 *     node asUser.mjs UID PROGRAM ARGUMENTS...
 *
 * What only root can read, the program itself for one, is read before.
 */
import * as fs from "node:fs"
import * as vm from "node:vm"

const [, , uid, program] = process.argv
const text = fs.readFileSync(program, "utf8").replace(/^#!.*/, "")
process.argv.splice(1, 3, program)
process.setgroups([])
process.setgid(Number(uid))
process.setuid(Number(uid))
vm.runInThisContext(text, {
  filename: program,
  importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
})
