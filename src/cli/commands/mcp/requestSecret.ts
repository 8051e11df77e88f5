/**
 * request_secret: asks the person for a secret that is missing, or whose value does not work.
 *
 * The request waits in the daemon. The person answers it in a terminal with `secrets add`; where the client
 * can open an address for them, also on a page of this process. The value never passes through the client.
 */
import * as McpSchema from "effect/ai/McpSchema"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { createHmac, randomBytes } from "node:crypto"
import { call, type DaemonAddress } from "../../../rpc/client/client.ts"
import { literal, optional } from "../../../domain/shape.ts"
import { fromClient } from "../../command/CommandError.ts"
import type { SecretPage } from "./secretPage.ts"
import { daemonFor, permitsName } from "./session.ts"
import { failureOf, toolFailure } from "./toolFailure.ts"
import { defineTool, type ToolCall } from "./Tool.ts"

const input = Schema.Struct({
  name: Schema.String.check(Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/u)).annotate({
    description: "the name to store it under, e.g. deploy_token"
  }),
  why: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(200)).annotate({
    description: "what it is needed for, in words for the person"
  }),
  replace: Schema.optionalKey(Schema.Boolean.annotate({ description: "the value that it has does not work" })),
  wait_seconds: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 })).annotate({ description: "0 if left out" })
  )
})
type SecretRequest = typeof input.Type

const states = ["exists", "stored", "pending", "declined", "expired"] as const

const output = Schema.Struct({
  status: Schema.Literals(states),
  name: Schema.String,
  request_id: Schema.optionalKey(Schema.String),
  instructions: Schema.String
})

export const requestSecretTool = defineTool({
  name: "request_secret",
  title: "Ask the person for a secret",
  description:
    "Asks the person to store a secret that is missing, outside of the conversation. Never ask for a value in the " +
    "conversation. With replace, asks for another value of one that is refused.",
  hints: { readOnly: false, destructive: false, idempotent: true, openWorld: false },
  input,
  output,
  run: Effect.fnUntraced(function* (given, asked) {
    const { clientId, context, session } = asked
    if (!permitsName(session, given.name)) {
      return yield* toolFailure("not_allowed", "this server is limited to other secrets")
    }
    const daemon = yield* daemonFor(session)
    if (context.inputResponses !== undefined) return answerOf(given, yield* afterQuestion(given, asked, daemon))
    const params = { name: given.name, client_id: clientId, why: given.why, replace: given.replace === true }
    const opened = yield* Effect.mapError(call(daemon, "secrets.request", params, openedExample), toFailure)
    if (opened.request_id === undefined || opened.state !== "pending") return answerOf(given, opened)
    const id = opened.request_id
    const canOpen = context.clientCapabilities.elicitation?.url !== undefined
    const asking = canOpen ? yield* askOnPage(given, asked, daemon, id) : "accept"
    if (asking instanceof McpSchema.InputRequired) return asking
    if (asking !== "accept") return answerOf(given, { state: "declined", request_id: id })
    const state = yield* waitFor(daemon, id, given.wait_seconds ?? 0)
    if (state === "stored" && canOpen) yield* asked.completed(id)
    return answerOf(given, { state, request_id: id })
  })
})

const openedExample = { state: "", request_id: optional("") }
const waitedExample = { state: "", stopping: optional(true) }

const toFailure = (error: Parameters<typeof fromClient>[0]) => failureOf(fromClient(error))

const instructions: Readonly<Record<(typeof states)[number], string>> = {
  exists: "Use it with run_with_secrets. If its value does not work, ask again with replace",
  stored: "Use it with run_with_secrets",
  pending: "Ask the person to run, in a terminal of their own: secrets COMMAND NAME. Then call again",
  declined: "The person declined. Do not ask again in this task",
  expired: "Nobody answered in time. Tell the person, and call again when they are there"
}

const answerOf = (
  { name, replace }: SecretRequest,
  { request_id, state }: { readonly state: string; readonly request_id?: string | undefined }
) => {
  const status = states.find((one) => one === state) ?? "pending"
  return {
    status,
    name,
    ...(request_id !== undefined && { request_id }),
    instructions: instructions[status].replace("COMMAND NAME", `${replace === true ? "update" : "add"} ${name}`)
  }
}

/** Beyond the wait itself, in seconds. */
const replyTime = 5

/** Waits until the request is over, at most so many seconds; returns its state. */
const waitFor = Effect.fnUntraced(function* (daemon: DaemonAddress, id: string, seconds: number) {
  const patient = { ...daemon, timeout: Duration.seconds(seconds + replyTime) }
  const waiting = call(patient, "requests.wait", { request_id: id, timeout: seconds }, waitedExample)
  return (yield* Effect.mapError(waiting, toFailure)).state
})

/** The pages that are open, by the request that each is for. */
const pages = new Map<string, SecretPage>()

/** A client that has no answer by then gets its result without one. */
const patience = "45 seconds"

/** Where the client puts the answer to our question. */
const questionKey = "secret"

/** Asks the client to open the page for the person. Without an answer, the request waits all the same. */
const askOnPage = Effect.fnUntraced(function* (
  given: SecretRequest,
  { clientId }: ToolCall,
  daemon: DaemonAddress,
  id: string
) {
  const page = yield* pageFor(given, clientId, daemon, id)
  if (page === undefined) return "accept"
  const message = `${clientId} needs the secret ${given.name}. Store it on this page, which shows the code ${page.code}.`
  const question = { mode: "url", message, url: page.url } as const
  const client = yield* Effect.serviceOption(McpSchema.McpServerClient)
  if (Option.isNone(client)) {
    const asked = { method: "elicitation/create", params: question } as const
    const now = yield* Clock.currentTimeMillis
    return new McpSchema.InputRequired({
      inputRequests: { [questionKey]: asked },
      requestState: stateOf(id, given.name, now)
    })
  }
  const params = new McpSchema.ElicitRequestURLParams({ ...question, elicitationId: id })
  const answer = yield* Effect.flatMap(client.value.getClient, (reverse) => reverse.elicit(params)).pipe(
    Effect.scoped,
    Effect.timeoutOption(patience),
    Effect.orElseSucceed(() => Option.none())
  )
  if (Option.isNone(answer) || answer.value.action === "accept") return "accept"
  page.close()
  return "decline"
})

/** Returns how the request stands whose question the client has answered: it need not be open any more. */
const afterQuestion = Effect.fnUntraced(function* (
  { name, wait_seconds }: SecretRequest,
  { context: { inputResponses, requestState } }: ToolCall,
  daemon: DaemonAddress
) {
  const id = idIn(requestState ?? "", name, yield* Clock.currentTimeMillis)
  if (id === undefined)
    return yield* toolFailure("invalid_arguments", "the state of the request is not one of this server")
  if (Reflect.get(Object(inputResponses?.[questionKey]), "action") === "accept")
    return { state: yield* waitFor(daemon, id, wait_seconds ?? 0), request_id: id }
  pages.get(id)?.close()
  return { state: "declined", request_id: id }
})

/** Returns the page of a request, which is opened if it is not; undefined if there can be none. */
const pageFor = Effect.fnUntraced(function* (given: SecretRequest, client: string, daemon: DaemonAddress, id: string) {
  const known = pages.get(id)
  if (known?.isOpen() === true) return known
  const { openPage } = yield* Effect.promise(() => import("./secretPage.ts"))
  const method = given.replace === true ? "secrets.update" : "secrets.add"
  const store = (value: string) =>
    Effect.match(call(daemon, method, { name: given.name, value }, { success: literal(true) }), {
      onSuccess: () => undefined,
      onFailure: (error) => fromClient(error).message
    })
  const page = yield* Effect.option(openPage({ name: given.name, client, why: given.why, store }))
  if (Option.isNone(page)) return undefined
  pages.set(id, page.value)
  return page.value
})

/** The key of this process, for the state that a client keeps for us. */
const stateKey = randomBytes(32)
/** In milliseconds, as long as the page is open. */
const stateLifetime = 600_000

const stateOf = (id: string, name: string, now: number): string => signed(id, name, String(now + stateLifetime))

const signed = (id: string, name: string, until: string): string =>
  `${id}.${until}.${createHmac("sha256", stateKey).update(`${id}.${until}.${name}`).digest("base64url")}`

/** Returns the id of the request that a state is for; undefined if it is not one of this process for the secret. */
const idIn = (state: string, name: string, now: number): string | undefined => {
  const [id = "", until = ""] = state.split(".")
  return state === signed(id, name, until) && Number(until) > now ? id : undefined
}
