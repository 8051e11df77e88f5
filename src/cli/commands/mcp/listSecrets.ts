/**
 * list_secrets: the names that the policy lets this client use, and what it needs to know for
 * that. No rotation command, length, hash or part of a value.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { globMatcher } from "../../../domain/glob.ts"
import { zeroTimestamp } from "../../../domain/Timestamp.ts"
import { call } from "../../../rpc/client/client.ts"
import { optional } from "../../../domain/shape.ts"
import { fromClient } from "../../command/CommandError.ts"
import { daemonFor, type McpSession, permitsName } from "./session.ts"
import { failureOf } from "./toolFailure.ts"
import { defineTool } from "./Tool.ts"

const usableExample = {
  secrets: [
    {
      name: "",
      updated_at: "",
      last_rotated: "",
      description: optional(""),
      commands: optional([""]),
      needs_reason: optional(true),
      approval: optional("")
    }
  ],
  hidden: optional(0)
}

/** Returns the secrets that the client may use, and how many others there are. */
const usableBy = Effect.fnUntraced(function* (session: McpSession, clientId: string) {
  const daemon = yield* daemonFor(session)
  const params = { client_id: clientId, via: "mcp" }
  const found = yield* Effect.mapError(call(daemon, "secrets.list", params, usableExample), (error) =>
    failureOf(fromClient(error))
  )
  const secrets = found.secrets.filter((one) => permitsName(session, one.name))
  return { secrets, hidden: (found.hidden ?? 0) + found.secrets.length - secrets.length }
})

const approvals = ["none", "needed", "granted"] as const

export const listSecretsTool = defineTool({
  name: "list_secrets",
  title: "List secrets",
  description:
    "Lists the names of the secrets that you may use with run_with_secrets. It never shows values. " +
    "Use it before you ask for a secret that may exist already.",
  hints: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  input: Schema.Struct({
    match: Schema.optionalKey(Schema.String.annotate({ description: "glob on the names, e.g. github_*" }))
  }),
  output: Schema.Struct({
    secrets: Schema.Array(
      Schema.Struct({
        name: Schema.String,
        updated_at: Schema.String,
        last_rotated: Schema.optionalKey(Schema.String),
        description: Schema.optionalKey(Schema.String),
        env: Schema.optionalKey(Schema.String.annotate({ description: "variable the project file maps it to" })),
        approval: Schema.Literals(approvals),
        commands: Schema.optionalKey(
          Schema.Array(Schema.String).annotate({ description: "the only programs that may get it" })
        ),
        needs_reason: Schema.optionalKey(Schema.Boolean)
      })
    ),
    hidden: Schema.optionalKey(Schema.Int.annotate({ description: "how many others there are" }))
  }),
  run: Effect.fnUntraced(function* ({ match = "*" }, { clientId, session }) {
    const { hidden, secrets } = yield* usableBy(session, clientId)
    const variables = yield* projectVariables(session)
    const isMeant = globMatcher(match)
    return {
      secrets: secrets
        .filter(({ name }) => isMeant(name))
        .map(({ approval, commands, description, last_rotated, name, needs_reason, updated_at }) => ({
          name,
          updated_at,
          ...(last_rotated !== zeroTimestamp.text && { last_rotated }),
          ...(description !== undefined && { description }),
          ...(variables.has(name) && { env: variables.get(name) ?? "" }),
          approval: approvals.find((one) => one === approval) ?? approvals[0],
          ...(commands !== undefined && { commands }),
          ...(needs_reason === true && { needs_reason })
        })),
      hidden
    }
  })
})

/** Returns the variables of the project file by the names of the secrets; none if there is no usable file. */
const projectVariables = (session: McpSession) =>
  Effect.gen(function* () {
    const { findProject } = yield* Effect.promise(() => import("../project/findProject.ts"))
    const { content } = yield* findProject(session.project, undefined)
    const secrets = "source" in content ? [] : (content.secrets ?? [])
    return new Map(secrets.map(({ env_var, name }) => [name, env_var] as const))
  }).pipe(Effect.orElseSucceed(() => new Map<string, string>()))
