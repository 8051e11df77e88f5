/**
 * One run of `joelclaw otel emit`, which sends one event.
 *
 * Loaded at the first event that is sent, with the library's code for processes, so
 * that no start waits for it. How it is called and judged by is told in `joelclaw`.
 */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ChildProcess from "effect/process/ChildProcess"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import * as path from "node:path"
import type { Envelope } from "./delivery.ts"
import { EmitFailed } from "./delivery.ts"

type Environment = Readonly<Record<string, string | undefined>>

/** Enough of an answer to judge it by. */
const answerLength = 64 * 1024

/** Fails if the event did not arrive, or nobody can tell. When it is interrupted, the process and its group are killed. */
export const emitThrough = Effect.fnUntraced(
  function* (command: string, environment: Environment, event: Envelope) {
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const process = yield* spawner.spawn(
      ChildProcess.make(command, ["otel", "emit"], {
        stdin: Stream.make(Buffer.from(JSON.stringify(event), "utf8")),
        stderr: "ignore",
        cwd: "/",
        env: childEnvironment(environment, command),
        extendEnv: false,
        killSignal: "SIGKILL"
      })
    )
    const answer = yield* Stream.runFold(
      process.stdout,
      () => "",
      (text, piece) => (text.length < answerLength ? text + Buffer.from(piece).toString("utf8") : text)
    )
    return yield* judge(answer)
  },
  Effect.scoped,
  Effect.provide(Layer.provide(NodeChildProcessSpawner.layer, [NodeFileSystem.layer, NodePath.layer]))
)

/** What the child needs and no more. On macOS it runs plutil, which is in /usr/bin. */
const childEnvironment = (environment: Environment, command: string): Record<string, string> => {
  const { NODE_OPTIONS: _options, PATH: _path, ...inherited } = environment
  const given = Object.entries(inherited).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
  const directories = [...(environment["PATH"] ?? "").split(":"), path.dirname(command), "/usr/bin", "/bin"]
  return {
    SLOG_SESSION_ID: "agent-secrets",
    ...Object.fromEntries(given),
    PATH: [...new Set(directories.filter((directory) => directory !== ""))].join(":")
  }
}

/** The answer tells whether the event arrived; the exit status does not. */
const judge = (answer: string): Effect.Effect<void, EmitFailed> => {
  const decoded = decodeAnswer(answer)
  if (Option.isNone(decoded)) return Effect.fail(new EmitFailed({ reason: "it gave no answer" }))
  return decoded.value.ok ? Effect.void : Effect.fail(new EmitFailed({ reason: decoded.value.error?.code ?? "not ok" }))
}

const Answer = Schema.Struct({
  ok: Schema.Boolean,
  error: Schema.optionalKey(Schema.Struct({ code: Schema.optionalKey(Schema.String) }))
})
const decodeAnswer = Schema.decodeUnknownOption(Schema.fromJsonString(Answer))
