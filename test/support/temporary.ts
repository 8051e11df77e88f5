/**
 * Temporary directories.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

/** A new home directory; the caller removes it. */
export const temporaryHome = (): string => fs.mkdtempSync(path.join(os.tmpdir(), "agent-secrets-"))

/** A new directory, removed when the scope ends. */
export const temporaryDirectory = Effect.acquireRelease(Effect.sync(temporaryHome), (directory) =>
  Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)
