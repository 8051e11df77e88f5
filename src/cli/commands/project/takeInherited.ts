/**
 * What `exec` was started with and Node does not hand on by itself: open descriptors, and
 * signals that are ignored. It is taken before anything is opened.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as fs from "node:fs"
import { inheritedDescriptors } from "../../../process/inheritedDescriptors.ts"
import { takeIgnoredSignals } from "./forwardSignals.ts"
import { printWarning } from "./requestedSecrets.ts"

export const takeInherited = Effect.gen(function* () {
  const ignoredSignals = takeIgnoredSignals()
  const descriptors = inheritedDescriptors()
  // Loading the inspector takes long, and an open one has a socket.
  if (!descriptors.some((fd) => fs.fstatSync(fd).isSocket())) return { descriptors, ignoredSignals }
  yield* closeDebugger
  return { descriptors: inheritedDescriptors(), ignoredSignals }
})

/** Closes a debugger that SIGUSR1 opened before our handler: the program gets this signal, so the launcher leaves it on. */
const closeDebugger = Effect.gen(function* () {
  const inspector = yield* Effect.promise(() => import("node:inspector"))
  let isClosed = false
  const close = Effect.sync(() => {
    if (inspector.url() === undefined) return
    inspector.close()
    isClosed = true
  })
  // One signal can open it three times: by an interrupt, a task, and a wake-up of the event loop.
  yield* Effect.repeat(close, { times: 4, schedule: Schedule.spaced("10 millis") })
  if (isClosed) yield* printWarning("exec", "closed a debugger that was open at startup")
})
