/** What a command says of a locked store, also where the table of all errors is not loaded. */
import { exitStatus } from "../../domain/exitStatus.ts"

export const lockedRefusal = {
  exitStatus: exitStatus.rejected,
  fix: "Unlock it in a terminal: secrets unlock"
} as const
