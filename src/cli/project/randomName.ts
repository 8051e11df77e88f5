/**
 * A name that nobody can guess. What Node makes it with takes as long to load as a
 * tenth of the whole command, so only who needs one loads it.
 */
export const randomName = (): string => process.getBuiltinModule("node:crypto").randomUUID()
