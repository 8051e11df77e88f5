/**
 * A tool of `secrets mcp`: its schemas, and what it does. A schema decodes the arguments and is
 * what clients see; a member that it does not name is an error.
 *
 * Nothing that a tool throws leaves the process: the client gets a fixed text.
 */
import * as McpSchema from "effect/ai/McpSchema"
import * as McpServer from "effect/ai/McpServer"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import type { McpAllowance, McpToolName } from "../../../domain/mcpTools.ts"
import { printNotice } from "../../command/Output.ts"
import { allowanceIn, clientIdOf, type McpSession } from "./session.ts"
import { type ToolFailure, toolFailure } from "./toolFailure.ts"

export interface ToolCall {
  readonly session: McpSession
  readonly clientId: string
  readonly allowance: McpAllowance
  readonly context: McpSchema.McpRequestContext["Service"]
  /** Reports how long the call has taken, in seconds, if the client asked for that. */
  readonly progress: ((seconds: number, message: string) => Effect.Effect<void>) | undefined
  /** Reports that what the person was asked to open is done. */
  readonly completed: (elicitationId: string) => Effect.Effect<void>
}

/** What a client asks a person by: what is destructive or open to the world, it confirms. */
interface Hints {
  readonly readOnly: boolean
  readonly destructive: boolean
  readonly idempotent: boolean
  readonly openWorld: boolean
}

interface ToolSpec<I, IE, O, OE> {
  readonly name: McpToolName
  readonly title: string
  readonly description: string
  readonly hints: Hints
  readonly input: Schema.Codec<I, IE>
  readonly output: Schema.Codec<O, OE>
  readonly run: (input: I, call: ToolCall) => Effect.Effect<O | McpSchema.InputRequired, ToolFailure>
}

/** A tool as the server registers it. */
export interface McpTool {
  readonly name: McpToolName
  readonly descriptor: McpSchema.Tool
  readonly call: (given: unknown, call: ToolCall) => Effect.Effect<McpSchema.CallToolResult | McpSchema.InputRequired>
}

export const defineTool = <I, IE, O, OE>(spec: ToolSpec<I, IE, O, OE>): McpTool => {
  const decode = Schema.decodeUnknownEffect(spec.input, { onExcessProperty: "error" })
  const inputSchema = jsonSchema(spec.input, "error")
  const names = new Set(namesIn(inputSchema))
  return {
    name: spec.name,
    descriptor: new McpSchema.Tool({
      name: spec.name,
      title: spec.title,
      description: spec.description,
      inputSchema: { ...inputSchema, type: "object", additionalProperties: false },
      outputSchema: jsonSchema(spec.output, "ignore"),
      annotations: {
        title: spec.title,
        readOnlyHint: spec.hints.readOnly,
        destructiveHint: spec.hints.destructive,
        idempotentHint: spec.hints.idempotent,
        openWorldHint: spec.hints.openWorld
      }
    }),
    call: (given, call) =>
      decode(given).pipe(
        Effect.mapError(({ issue }) =>
          toolFailure("invalid_arguments", `an argument is not what the tool expects: ${placeOf(issue, names)}`)
        ),
        Effect.flatMap((input) => spec.run(input, call)),
        Effect.map((output) => (output instanceof McpSchema.InputRequired ? output : resultOf(output))),
        Effect.catchTag("ToolFailure", ({ code, fix, message, requestId }) =>
          Effect.succeed(failedResult({ error: code, message, fix, request_id: requestId }))
        ),
        Effect.catchCause((cause) => {
          if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
          printNotice(`secrets mcp: ${spec.name} failed unexpectedly`)
          return Effect.succeed(failedResult(unexpected))
        })
      )
  }
}

const unexpected = { error: "failed", message: "the tool failed unexpectedly", fix: "Tell the person" }

/** Returns the same JSON twice: as text for old clients, and with its structure. */
const resultOf = (output: unknown): McpSchema.CallToolResult => {
  const text = JSON.stringify(output)
  const structured: unknown = JSON.parse(text)
  return new McpSchema.CallToolResult({ content: [{ type: "text", text }], structuredContent: structured })
}

const failedResult = (failure: object): McpSchema.CallToolResult =>
  new McpSchema.CallToolResult({ isError: true, content: [{ type: "text", text: JSON.stringify(failure) }] })

/** Returns a JSON Schema without references and without a union at the root, which model APIs do not take. */
const jsonSchema = (schema: Schema.Constraint, onExcessProperty: "error" | "ignore"): JsonObject =>
  Object.fromEntries(
    Object.entries(Schema.toJsonSchemaDocument(schema, { onExcessProperty }).schema).map(([key, value]) => [
      key,
      simplified(value)
    ])
  )

type JsonObject = Readonly<Record<string, unknown>>

/** Leaves out the bounds that every integer has, and writes a type or null as a list of types. */
const simplified = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(simplified)
  if (typeof schema !== "object" || schema === null) return schema
  const members = new Map<string, unknown>(Object.entries(schema))
  if (members.get("minimum") === Number.MIN_SAFE_INTEGER) members.delete("minimum")
  if (members.get("maximum") === Number.MAX_SAFE_INTEGER) members.delete("maximum")
  const anyOf = members.get("anyOf")
  if (Array.isArray(anyOf)) {
    const types = anyOf.map((one): unknown => Reflect.get(Object(one), "type"))
    members.delete("anyOf")
    members.set("type", types)
  }
  return Object.fromEntries([...members].map(([key, value]) => [key, simplified(value)]))
}

const namesIn = (schema: unknown): ReadonlyArray<string> =>
  typeof schema !== "object" || schema === null
    ? []
    : Object.entries(schema).flatMap(([key, value]) => [
        ...(key === "properties" ? Object.keys(Object(value)) : []),
        ...namesIn(value)
      ])

/** Returns where an argument is wrong. Only names of the schema are shown: others may be anything. */
const placeOf = (issue: SchemaIssue.Issue, names: ReadonlySet<string>): string => {
  const path: Array<PropertyKey> = []
  let at: SchemaIssue.Issue | undefined = issue
  while (at !== undefined) {
    if (at._tag === "Pointer") path.push(...at.path)
    at = "issue" in at ? at.issue : "issues" in at ? at.issues[0] : undefined
  }
  const steps = path.map((key) =>
    typeof key === "number" ? `[${key}]` : names.has(String(key)) ? `.${String(key)}` : " has an unknown member"
  )
  return steps.join("").replace(/^[. ]/, "") || "the arguments"
}

/** Registers a tool with the server, for the clients that may use it. */
export const registerTool = Effect.fnUntraced(function* ({ call, descriptor, name }: McpTool, session: McpSession) {
  const server = yield* McpServer.McpServer
  const isOffered = (clientName: string | undefined) =>
    allowanceIn(session, clientIdOf(session, clientName)).tools.includes(name)
  yield* server.addTool({
    tool: descriptor,
    annotations: Context.make(McpSchema.EnabledWhen, ({ clientInfo }) => isOffered(clientInfo?.name)),
    handle: (given: unknown) =>
      Effect.flatMap(McpSchema.McpRequestContext, (context) => {
        const clientId = clientIdOf(session, context.clientInfo?.name)
        const allowance = allowanceIn(session, clientId)
        const completed = (elicitationId: string) =>
          server.notifyElicitationComplete({ clientId: context.clientId, elicitationId })
        return call(given, { session, clientId, allowance, context, completed, progress: progressOf(server, context) })
      })
  })
})

/** Returns how to report progress; undefined if the client named no token for it. */
const progressOf = (
  server: McpServer.McpServer["Service"],
  context: McpSchema.McpRequestContext["Service"]
): ToolCall["progress"] => {
  const token: unknown = Reflect.get(Object(context.requestMetadata), "progressToken")
  if (typeof token !== "string" && typeof token !== "number") return undefined
  return (progress, message) =>
    server.notifications["notifications/progress"]({ progressToken: token, progress, message }).pipe(
      Effect.provideService(McpSchema.McpRequestContext, context),
      Effect.ignore
    )
}
