/**
 * list_leases and revoke_leases: the leases of this client and of its runs, never those of
 * others.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { call } from "../../../rpc/client/client.ts"
import { literal } from "../../../domain/shape.ts"
import { fromClient } from "../../command/CommandError.ts"
import { runningPrograms } from "./programRun.ts"
import { daemonFor, type McpSession } from "./session.ts"
import { failureOf, toolFailure } from "./toolFailure.ts"
import { defineTool } from "./Tool.ts"

/** Between SIGTERM and SIGKILL for the programs of revoked leases. */
const killTimeout = "5 seconds"

const listedExample = { leases: [{ lease_id: "", secret_name: "", client_id: "", expires_at: "" }] }

const ownLeasesOf = Effect.fnUntraced(function* (session: McpSession, clientId: string) {
  const daemon = yield* daemonFor(session)
  const listing = call(daemon, "secrets.leases", { client_id: clientId, below: true }, listedExample)
  return (yield* Effect.mapError(listing, (error) => failureOf(fromClient(error)))).leases
})

export const listLeasesTool = defineTool({
  name: "list_leases",
  title: "List your leases",
  description: "Lists the active leases of this client: which secrets it holds now, in which program, and until when.",
  hints: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  input: Schema.Record(Schema.String, Schema.Never),
  output: Schema.Struct({
    leases: Schema.Array(
      Schema.Struct({
        lease_id: Schema.String,
        secret: Schema.String,
        expires_at: Schema.String,
        program: Schema.optionalKey(Schema.String),
        run_id: Schema.optionalKey(Schema.String),
        running: Schema.Boolean
      })
    )
  }),
  run: Effect.fnUntraced(function* (_input, { clientId, session }) {
    const leases = yield* ownLeasesOf(session, clientId)
    return {
      leases: leases.map(({ client_id, expires_at, lease_id, secret_name }) => ({
        lease_id,
        secret: secret_name,
        expires_at,
        ...programIn(client_id),
        running: runningPrograms.has(client_id)
      }))
    }
  })
})

/** Returns the program that the client id of a run names. */
const programIn = (clientId: string): { readonly program?: string } => {
  const program = /\/([^/]*)\[[\d.]+\]$/.exec(clientId)?.[1]
  return program === undefined ? {} : { program }
}

const nothingRevoked = "no active lease of this client is one of these. See the active ones with list_leases"

export const revokeLeasesTool = defineTool({
  name: "revoke_leases",
  title: "Revoke your leases",
  description:
    "Ends leases of this client, by their ids or of one secret, and the programs that hold them. " +
    "Use it when a task is done before its programs have ended.",
  hints: { readOnly: false, destructive: true, idempotent: true, openWorld: false },
  input: Schema.Struct({
    lease_ids: Schema.optionalKey(Schema.Array(Schema.String).annotate({ description: "ids of list_leases" })),
    secret: Schema.optionalKey(Schema.String.annotate({ description: "all leases of this secret" }))
  }),
  output: Schema.Struct({ revoked: Schema.Int, note: Schema.optionalKey(Schema.String) }),
  run: Effect.fnUntraced(function* ({ lease_ids, secret }, { clientId, session }) {
    if ((lease_ids === undefined) === (secret === undefined)) {
      return yield* toolFailure("invalid_arguments", "either lease_ids or secret is needed")
    }
    const own = yield* ownLeasesOf(session, clientId)
    const meant = own.filter((lease) => lease.secret_name === secret || lease_ids?.includes(lease.lease_id) === true)
    const daemon = yield* daemonFor(session)
    yield* Effect.forEach(
      meant,
      ({ lease_id }) =>
        call(daemon, "secrets.revoke", { lease_id }, { success: literal(true) }).pipe(
          // It has ended meanwhile.
          Effect.catchIf(
            (error) => error._tag === "RequestRejected" && error.tag === "LeaseNotFound",
            () => Effect.void
          ),
          Effect.mapError((error) => failureOf(fromClient(error)))
        ),
      { concurrency: 8, discard: true }
    )
    const programs = meant.flatMap(({ client_id }) => runningPrograms.get(client_id) ?? [])
    yield* Effect.forEach(new Set(programs), (program) => program.stop(killTimeout), { concurrency: "unbounded" })
    return { revoked: meant.length, ...(meant.length === 0 && { note: nothingRevoked }) }
  })
})
