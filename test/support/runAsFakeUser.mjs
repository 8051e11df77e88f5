/**
 * Runs the program as if the user and the system were others: root has no service of its
 * own, nobody else one of the system, and tests run as anybody, anywhere.
 *
 *     node runAsFakeUser.mjs PLATFORM UID PROGRAM ARGUMENTS...
 */
import { syncBuiltinESMExports } from "node:module"
import os from "node:os"

const [, , platform, uid, program] = process.argv
os.userInfo = () => ({ uid: Number(uid), gid: 1, username: "somebody", homedir: "/nonexistent", shell: null })
syncBuiltinESMExports()
Object.defineProperty(process, "platform", { value: platform })
process.argv.splice(1, 4, program)
await import(program)
