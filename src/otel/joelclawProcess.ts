/**
 * Runs one `joelclaw otel emit`, which sends one event.
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
import type { JoelclawOptions } from "./joelclaw.ts"

const maxOutputLength = 64 * 1024

/** Fails unless joelclaw reports success. Interruption kills its process group. */
export const runJoelclaw = Effect.fnUntraced(
  function* (command: string, environment: JoelclawOptions["environment"], event: Envelope) {
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
    const output = yield* Stream.runFold(
      process.stdout,
      () => "",
      (text, chunk) => (text.length < maxOutputLength ? text + Buffer.from(chunk).toString("utf8") : text)
    )
    const result = decodeResult(output)
    if (Option.isNone(result)) return yield* new EmitFailed({ reason: "invalid output" })
    const { error, ok } = result.value
    if (!ok) return yield* new EmitFailed({ reason: error?.code ?? "not ok" })
  },
  Effect.scoped,
  Effect.provide(Layer.provide(NodeChildProcessSpawner.layer, [NodeFileSystem.layer, NodePath.layer]))
)

/** On macOS, joelclaw runs plutil from /usr/bin. */
const childEnvironment = (
  environment: JoelclawOptions["environment"],
  command: string
): Record<string, string | undefined> => {
  const { NODE_OPTIONS: _options, PATH = "", ...inherited } = environment
  const directories = [...PATH.split(":"), path.dirname(command), "/usr/bin", "/bin"]
  return {
    SLOG_SESSION_ID: "agent-secrets",
    ...inherited,
    PATH: [...new Set(directories.filter((directory) => directory !== ""))].join(":")
  }
}

const EmitResult = Schema.Struct({
  ok: Schema.Boolean,
  error: Schema.optionalKey(Schema.Struct({ code: Schema.optionalKey(Schema.String) }))
})
const decodeResult = Schema.decodeUnknownOption(Schema.fromJsonString(EmitResult))
