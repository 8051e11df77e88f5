/**
 * What a killed run leaves behind is removed by the next one; the folders of runs that last are not.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { lifeSocket, removeDeadFolders } from "../../../../../src/cli/commands/project/proxy/runFolder.ts"
import { temporaryDirectory } from "../../../../support/temporary.ts"

const listenAt = (at: string) =>
  Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<net.Server>((resolve) => {
          const server: net.Server = net.createServer().listen(at, () => resolve(server))
        })
    ),
    (server) => Effect.sync(() => server.close())
  )

describe("the folder of a run", () => {
  it.live("is removed if its socket accepts no connection any more, and only then", () =>
    Effect.gen(function* () {
      const parent = yield* temporaryDirectory
      const folder = (name: string) => {
        const made = path.join(parent, name)
        fs.mkdirSync(made)
        fs.writeFileSync(path.join(made, "certificates.pem"), "")
        return made
      }
      yield* listenAt(path.join(folder("secrets-run-lasts"), lifeSocket))
      // A socket whose file stays, as after a SIGKILL.
      yield* Effect.scoped(
        Effect.tap(listenAt(path.join(parent, "s")), () =>
          Effect.sync(() => fs.renameSync(path.join(parent, "s"), path.join(folder("secrets-run-killed"), lifeSocket)))
        )
      )
      fs.symlinkSync(folder("elsewhere"), path.join(parent, "secrets-run-link"))
      fs.copyFileSync(
        path.join(folder("secrets-run-begins"), "certificates.pem"),
        path.join(parent, "secrets-run-file")
      )
      yield* removeDeadFolders(parent)
      assert.deepStrictEqual(fs.readdirSync(parent).toSorted(), [
        "elsewhere",
        "secrets-run-begins",
        "secrets-run-file",
        "secrets-run-lasts",
        "secrets-run-link"
      ])
    })
  )
})
