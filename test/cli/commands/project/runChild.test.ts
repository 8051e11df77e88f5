/**
 * What the output of a program goes through until it is masked.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { text } from "node:stream/consumers"
import { runChild } from "../../../../src/cli/commands/project/runChild.ts"

/** Returns what a program has as standard output on a system. */
const outputOn = (platform: NodeJS.Platform) =>
  Effect.gen(function* () {
    const real = process.platform
    Object.defineProperty(process, "platform", { value: platform })
    let output = ""
    yield* runChild({
      command: "/bin/sh",
      args: ["-c", "readlink /proc/self/fd/1"],
      env: { PATH: process.env["PATH"] },
      pipeOutput: ({ outputs }) =>
        Effect.promise(async () => {
          if (outputs[0]) output = await text(outputs[0])
          return true
        })
    }).pipe(Effect.ensuring(Effect.sync(() => Object.defineProperty(process, "platform", { value: real }))))
    return output
  })

describe.runIf(process.platform === "linux")("masked output", () => {
  it.live("comes from a pipe, and on macOS, which reports no end of a named one, from a socket", () =>
    Effect.gen(function* () {
      assert.match(yield* outputOn("linux"), /^(\/.* \(deleted\)|pipe:\[\d+\])\n$/)
      assert.match(yield* outputOn("darwin"), /^socket:\[\d+\]\n$/)
    })
  )
})
