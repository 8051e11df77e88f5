/**
 * Runs one `joelclaw otel emit`. It is loaded with the first event, because it needs the library for processes.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Duration from "effect/Duration"
import * as path from "node:path"
import { childEnvironment } from "../domain/childEnvironment.ts"
import { spawnTool } from "../process/runTool.ts"
import { EmitFailed, type Envelope } from "./delivery.ts"

type Environment = Readonly<Record<string, string | undefined>>

const maxOutputLength = 64 * 1024

/** Sends one event. Fails unless joelclaw reports success. Interruption kills its process group. */
export const runJoelclaw = Effect.fnUntraced(function* (
  command: string,
  { environment, timeout }: { readonly environment: Environment; readonly timeout: Duration.Input },
  event: Envelope
) {
  const options = { env: environmentOf(environment, command), timeout }
  const tool = yield* spawnTool([command, "otel", "emit"], options, {
    stdin: Stream.make(Buffer.from(JSON.stringify(event), "utf8")),
    stderr: "ignore"
  })
  const output = yield* Stream.runFold(
    tool.stdout,
    () => "",
    (text, chunk) => (text.length < maxOutputLength ? text + Buffer.from(chunk).toString("utf8") : text)
  )
  const result = decodeResult(output)
  if (Option.isNone(result)) return yield* new EmitFailed({ reason: "invalid output" })
  const { error, ok } = result.value
  if (!ok) return yield* new EmitFailed({ reason: error?.code ?? "not ok" })
}, Effect.scoped)

/** What `joelclaw otel emit` reads besides: where and as whom it sends, through which proxy, with which certificates. */
const emitVariables =
  /^((JOELCLAW|SLOG)_.*|OTEL_EMIT_(URL|TOKEN)|INNGEST_WORKER_URL|PI_SESSION_HANDLE|GATEWAY_ROLE|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS)$/i

/** Returns the variables of joelclaw. Its PATH has /usr/bin, from where it runs plutil on macOS. */
const environmentOf = (environment: Environment, command: string): Record<string, string> => {
  const { PATH = "", ...inherited } = childEnvironment(environment, (name) => emitVariables.test(name))
  const directories = new Set([...PATH.split(":"), path.dirname(command), "/usr/bin", "/bin"])
  return { SLOG_SESSION_ID: "agent-secrets", ...inherited, PATH: [...directories].join(":") }
}

const EmitResult = Schema.Struct({
  ok: Schema.Boolean,
  error: Schema.optionalKey(Schema.Struct({ code: Schema.optionalKey(Schema.String) }))
})
const decodeResult = Schema.decodeUnknownOption(Schema.fromJsonString(EmitResult))
