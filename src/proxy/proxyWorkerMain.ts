/**
 * The process of the worker: it takes the daemon's messages, and ends with the daemon.
 */
import type { FromWorker, ToWorker } from "../domain/proxyMessages.ts"
import { ProxyWorker } from "./ProxyWorker.ts"

// A message that cannot be sent is for a daemon that is gone.
const send = (message: FromWorker): void => void process.send?.(message, undefined, undefined, () => undefined)

/** Runs until the daemon is gone. */
export const runProxyWorker = (): void => {
  // Sockets are for the daemon, which places them; nobody else connects before.
  process.umask(0o177)
  const worker = new ProxyWorker({ send })
  process.on("message", (message: ToWorker) => worker.receive(message))
  process.on("disconnect", () => process.exit(0))
  // Its message may hold anything, and nothing of the worker is worth keeping: the daemon starts another one.
  process.on("uncaughtException", ({ name }) => {
    send({ type: "failed", reason: name })
    process.exit(1)
  })
  // The daemon decides when the worker ends, also where a terminal signals the whole group.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined)
  send({ type: "ready" })
}
