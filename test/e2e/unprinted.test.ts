/**
 * Each command that prints, with a standard output that takes nothing: it fails and gives the reason, so that no script takes
 * an empty text for the answer. What becomes of leases is tested in env.test.ts.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { commands } from "../../src/cli/commands.ts"
import { isScript, run } from "../harness/program.ts"
import { sharedDaemon, trustingTemporary } from "../harness/sharedDaemon.ts"

const daemon = sharedDaemon({ db: "made-up" }, trustingTemporary)

/** Lines that succeed and print, at least one of each command. */
const lines: ReadonlyArray<string> = [
  "add --from-env vars --update --dry-run",
  "add --from-env vars --update",
  "update db --file vars",
  "lease db",
  "lease db --json",
  "revoke --client-id other",
  "revoke --client-id other --wait 1s",
  "revoke --all --drill",
  "runs",
  "leases",
  "list",
  "show db",
  "env --secret db --format json",
  "exec --secret db --mask -- echo made",
  "inject -i template",
  "helper print db",
  "allow",
  "requests",
  "policy explain db",
  "mcp config cursor --project . --secret db",
  "proxy",
  "exposure db",
  "rotate --all",
  "health",
  "scan vars",
  "cleanup --dry-run",
  "status",
  "status --json",
  "status --metrics",
  "audit",
  "audit --verify",
  "completions --names secret",
  "completions zsh",
  "version",
  "help",
  "lease --help"
]

/** They fail here, or have nothing to print; each prints through the same function (test/architecture.test.ts). */
const others = "init serve delete lock unlock backup restore disallow approve deny team daemon doctor".split(" ")

/** Closed before the launcher: one line of each way in which the program starts and prints. */
const closed = ["lease db", "list", "exec --secret db --mask -- echo made", "helper print db", "completions zsh"]

/** Through the file that a shell starts: Node alone opens another output in place of a closed one. */
const asInstalled = isScript ? "shift; " : ""
const tried = [
  ...lines.map((line) => ({ line, code: "ENOSPC", through: 'exec "$@" >/dev/full' })),
  ...closed.map((line) => ({ line, code: "EBADF", through: `${asInstalled}exec "$@" >&-` }))
]

describe("a standard output that takes nothing", () => {
  it.live.runIf(process.platform === "linux")("fails each command that prints", () =>
    Effect.gen(function* () {
      const { home } = daemon()
      fs.writeFileSync(path.join(home, "vars"), "A=1\n")
      fs.writeFileSync(path.join(home, "template"), "{{ secret://db }}\n")
      fs.writeFileSync(path.join(home, ".secrets.json"), '{"secrets":[{"name":"db","env_var":"DB"}]}')
      const env = { PATH: `${path.dirname(process.execPath)}:/usr/bin:/bin` }
      const wrong = yield* Effect.forEach(
        tried,
        Effect.fnUntraced(function* ({ code, line, through }) {
          const { status, stderr } = yield* run(line.split(" "), { home, env, through: `cd "$HOME"; ${through}` })
          return status === 1 && stderr.includes(code) ? [] : [{ line, code, status, stderr }]
        }),
        { concurrency: 3 }
      )
      assert.deepStrictEqual(wrong.flat(), [])
    })
  )

  it.live.runIf(process.platform === "linux")("does not change the status of a failure, if it is standard error", () =>
    Effect.gen(function* () {
      const through = 'exec "$@" 2>/dev/full'
      const statuses = yield* Effect.forEach(["lease nope", "list --nope", "nope"], (line) =>
        Effect.map(run(line.split(" "), { home: daemon().home, through }), ({ status }) => status)
      )
      assert.deepStrictEqual(statuses, [4, 2, 2])
    })
  )

  it("is tried with each command", () => {
    const named = new Set([...others, ...lines.map((line) => line.split(" ")[0] ?? "")])
    assert.deepStrictEqual(
      Object.keys(commands).filter((name) => !named.has(name)),
      []
    )
  })
})
