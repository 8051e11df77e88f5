/**
 * write_env_file, off unless config.json lists it: writes secrets to a file of the project that git
 * ignores, by `secrets env` as a child. A reader of the file sees the values.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as path from "node:path"
import { variableFor, variablePattern } from "../../../domain/envFile.ts"
import { runGit } from "../../../process/git.ts"
import { runTool } from "../../../process/runTool.ts"
import { ownProgram } from "../../../process/ownProgram.ts"
import { problemIn } from "./programRun.ts"
import { directoryInside, permitsName } from "./session.ts"
import { failureOf, toolFailure } from "./toolFailure.ts"
import { defineTool } from "./Tool.ts"

const timeout = "45 seconds"

export const writeEnvFileTool = defineTool({
  name: "write_env_file",
  title: "Write secrets to an ignored file",
  description:
    "Writes secrets to an env file that git ignores, for programs that need one. Reading the file shows the values: do not read it.",
  hints: { readOnly: false, destructive: true, idempotent: true, openWorld: false },
  input: Schema.Struct({
    file: Schema.String.check(Schema.isMinLength(1)).annotate({ description: "inside the project, e.g. .env" }),
    secrets: Schema.Array(
      Schema.Struct({
        name: Schema.String.check(Schema.isMinLength(1)),
        env: Schema.optionalKey(Schema.String.check(Schema.isPattern(variablePattern)))
      })
    ).check(Schema.isMinLength(1)),
    ttl: Schema.optionalKey(Schema.String.annotate({ description: "how long the leases last, e.g. 30m" }))
  }),
  output: Schema.Struct({ file: Schema.String, variables: Schema.Array(Schema.String) }),
  run: Effect.fnUntraced(function* ({ file, secrets, ttl }, { clientId, session }) {
    const directory = yield* directoryInside(session, path.dirname(file))
    const name = path.basename(file)
    if (secrets.some((one) => !permitsName(session, one.name)))
      return yield* toolFailure("no_such_secret", "no such secret")
    const ignored = yield* runGit(["check-ignore", "--quiet", "--", `./${name}`], {
      cwd: directory,
      inHook: false,
      timeout
    })
    if (ignored?.status !== 0) return yield* toolFailure("not_ignored", "git does not ignore the file")
    const named = secrets.map(({ env, name: secret }) => ({ secret, variable: env ?? variableFor(secret) }))
    const args = [
      "env",
      "--json",
      `--file=${path.join(directory, name)}`,
      `--client-id=${clientId}`,
      ...(ttl === undefined ? [] : [`--ttl=${ttl}`]),
      ...named.map(({ secret, variable }) => `--secret=${secret}=${variable}`)
    ]
    const [command, ...own] = ownProgram()
    const options = { cwd: directory, env: process.env, timeout } as const
    const { status, stdout } = yield* Effect.mapError(runTool([command, ...own, ...args], options), () =>
      toolFailure("failed", "the file was not written")
    )
    if (status !== 0) {
      const problem = problemIn(stdout.toString("utf8"))
      return yield* problem === undefined ? toolFailure("failed", "the file was not written") : failureOf(problem)
    }
    return { file, variables: named.map(({ variable }) => variable) }
  })
})
