/**
 * node:sqlite, without the warning that Node 22 prints when it is loaded. The module is stable
 * in the versions that this program supports; only the lock files use it.
 */
import type { DatabaseSync } from "node:sqlite"

/** Loads the module. Synchronous, so that nothing else can warn meanwhile. */
export const loadSqlite = (): { readonly DatabaseSync: typeof DatabaseSync } =>
  withoutWarning(/^SQLite is an experimental feature\b/, () => process.getBuiltinModule("node:sqlite"))

/** Calls a function and drops the warnings of the runtime that match; all others are printed. */
export const withoutWarning = <A>(pattern: RegExp, call: () => A): A => {
  const { emitWarning } = process
  process.emitWarning = (warning: string | Error, ...rest: ReadonlyArray<unknown>) => {
    if (typeof warning === "string" && rest[0] === "ExperimentalWarning" && pattern.test(warning)) return
    Reflect.apply(emitWarning, process, [warning, ...rest])
  }
  try {
    return call()
  } finally {
    process.emitWarning = emitWarning
  }
}
