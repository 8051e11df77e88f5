/**
 * Runs the program as an ordinary user where the tests run as root:
 *
 *     node runAsUser.mjs UID PROGRAM ARGUMENTS...
 *
 * That user must be able to read the program.
 */
const [, , uid, program] = process.argv
process.argv.splice(1, 3, program)
process.setgroups([])
process.setgid(Number(uid))
process.setuid(Number(uid))
await import(program)
