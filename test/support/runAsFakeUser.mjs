/**
 * Runs the program as if it had another user and platform. Root has no user service and an
 * ordinary user no system service, so tests of both need this.
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
