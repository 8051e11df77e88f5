/**
 * What `env` and `exec` share: flags, warnings and a clean exit on signals.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import type { Flags } from "../../command/Command.ts"

export const projectFlags = {
  secret: {
    type: "string",
    value: "NAME[=VAR]",
    summary: "a secret and its variable; replaces the project file, may be repeated",
    completes: "secret"
  },
  project: { type: "string", value: "PATH", summary: "a .secrets.json other than the nearest", completes: "file" },
  ttl: { type: "string", value: "DURATION", summary: "lifetime of the leases, over the project file" },
  "client-id": { type: "string", value: "ID", summary: "client id of the leases" }
} as const satisfies Flags

/** Converts fatal signals to SIGTERM, so that leases are revoked on exit. Runs before there are any. */
export const installGracefulShutdown = Effect.sync(() => {
  for (const name of ["SIGHUP", "SIGQUIT"] as const) process.on(name, () => process.kill(process.pid, "SIGTERM"))
  process.on("SIGUSR2", () => undefined)
})

/** Prints to standard error directly: `process.stderr` would change the mode of a descriptor that a child shares. */
export const printWarning = (command: string, text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    try {
      fs.writeSync(2, `secrets ${command}: warning: ${text}\n`)
    } catch {
      // Standard error is closed.
    }
  })
