/**
 * Has every signal that would end us end us in order, by way of SIGTERM, so that
 * leases are given back. To be run before there are any.
 */
import * as Effect from "effect/Effect"

export const installGracefulShutdown = Effect.sync(() => {
  for (const name of ["SIGHUP", "SIGQUIT"] as const) process.on(name, () => process.kill(process.pid, "SIGTERM"))
  process.on("SIGUSR2", () => undefined)
})
