/** A secret as the store has it, of which a test names what matters to it. */
import * as Redacted from "effect/Redacted"
import type { StoredSecret } from "../../src/daemon/secrets/storeDocument.ts"
import { zeroTimestamp } from "../../src/domain/Timestamp.ts"

export const storedSecret = (name: string, value: string): StoredSecret => ({
  name,
  value: Redacted.make(value),
  createdAt: zeroTimestamp,
  updatedAt: zeroTimestamp,
  lastRotated: zeroTimestamp,
  rotateVia: "",
  rotateStdout: false,
  description: "",
  foreign: {}
})
