/**
 * The open requests as commands show them: a table, the oldest first.
 */
import * as Effect from "effect/Effect"
import { call, type DaemonAddress } from "../../../rpc/client/client.ts"
import { optional, type Shaped } from "../../../domain/shape.ts"
import { fromClient } from "../../command/CommandError.ts"
import { table } from "../../terminal/table.ts"
import { ageOf } from "../../terminal/times.ts"

export const requestExample = {
  request_id: "",
  kind: "",
  secret_name: "",
  client_id: "",
  via: optional(""),
  program: optional(""),
  ttl: optional(""),
  reason: optional(""),
  opened_at: "",
  expires_at: ""
}

export type ShownRequest = Shaped<typeof requestExample>

export const fetchRequests = (daemon: DaemonAddress) =>
  Effect.mapError(call(daemon, "requests.list", {}, { requests: [requestExample], total: 0 }), fromClient)

/** Returns the table; `marks` is what stands before each row. */
export const requestRows = (requests: ReadonlyArray<ShownRequest>, now: number, marks?: ReadonlyArray<string>) => {
  const rows = requests.map((one, index) => [
    ...(marks === undefined ? [] : [marks[index] ?? ""]),
    ageOf(one.opened_at, now),
    one.request_id,
    one.client_id,
    one.secret_name,
    one.kind === "missing" ? "missing" : (one.via ?? "lease"),
    one.program ?? "",
    one.ttl ?? "",
    one.reason ?? ""
  ])
  const head = ["AGE", "ID", "CLIENT", "SECRET", "VIA", "PROGRAM", "TTL", "WHY"]
  return table(marks === undefined ? head : ["", ...head], rows, { whole: ["", "AGE", "ID", "VIA", "TTL"] })
}
