/**
 * The exposure of one secret, as lines: who was given its value, what nobody can know, and how to end it.
 */
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { quote } from "../../../domain/goText.ts"
import { optional, type Shaped } from "../../../rpc/protocol/shape.ts"
import { table } from "../../terminal/table.ts"
import { shownTime } from "../../terminal/times.ts"

const clientExample = {
  client_id: "",
  grouped: true,
  via: "",
  program: optional(""),
  open: true,
  first: "",
  last: "",
  times: 0,
  lease_ids: [""],
  active_leases: 0,
  run: optional({ run_id: "", pid: optional(0) }),
  runs: 0
}

export const secretExample = {
  secret: "",
  value_set_at: optional(""),
  value_set_by: optional(""),
  value_seq: optional(0),
  changed_at: optional(""),
  changed_by: optional(""),
  rotated_at: optional(""),
  rotate_via: true,
  stored: optional(true),
  earlier_values: true,
  complete: true,
  incomplete_because: [""],
  clients: [clientExample],
  total: 0,
  unnamed_clients: 0,
  leases_of_older_value: 0,
  runs_with_older_value: [{ run_id: "", client_id: "", program: optional(""), pid: optional(0), since: "" }],
  open_handouts: 0,
  last_backup_at: optional("")
}
type SecretExposure = Shaped<typeof secretExample>
type Client = Shaped<typeof clientExample> & { readonly active_until?: unknown }

const verbs: Readonly<Record<string, string>> = {
  secret_add: "added",
  secret_update: "updated",
  secret_rotate: "rotated",
  store_restore: "restored"
}

/** Returns a name as it is typed, or a placeholder where a shell would read it differently. */
export const typedName = (name: string): string => (/^[\w./][\w./-]*$/.test(name) ? name : "NAME")

export const secretLines = (found: SecretExposure, before: boolean, now: number): ReadonlyArray<string> => {
  const { clients, total } = found
  const rows = clients.map((row: Client) => [
    row.client_id === "" ? `(${found.unnamed_clients} not named)` : `${row.client_id}${row.grouped ? "[…]" : ""}`,
    row.via || "-",
    row.program ?? "-",
    shownTime(row.first, now),
    shownTime(row.last, now),
    `${row.times}`,
    nowOf(row, now)
  ])
  const left = total > clients.length ? [`and ${total - clients.length} more, used before these`] : []
  const head = ["CLIENT", "VIA", "PROGRAM", "FIRST", "LAST", "TIMES", "NOW"]
  const whole = ["FIRST", "LAST", "TIMES", "NOW"]
  return [
    titleOf(found, before, now),
    ...(rows.length === 0 ? [] : ["", ...table(head, rows, { whole }), ...left]),
    "",
    ...(before ? [] : cautionsOf(found, now)),
    ...(found.open_handouts > 0
      ? ['"lease" and "env" gave the value into the open: nothing tells where it went from there.']
      : []),
    found.complete
      ? "The log is complete since the value was set."
      : `Others may have had it: ${found.incomplete_because.join("; ")}.`,
    ...(before || total === 0 ? [] : [endOf(found)])
  ]
}

const titleOf = (found: SecretExposure, before: boolean, now: number): string => {
  const time = (at: string | undefined, by: string | undefined) =>
    at === undefined ? "at an unknown time" : `${shownTime(at, now)}${by === undefined ? "" : ` (${verbs[by] ?? by})`}`
  const names = new Set(found.clients.map(({ client_id: id }) => id).filter((id) => id !== ""))
  const count = counted(names.size + found.unnamed_clients, "client")
  const name = escapeValue(found.secret)
  if (before && found.changed_at === undefined) return `${name}   no earlier value is known`
  const set = `value set ${time(found.value_set_at, found.value_set_by)}`
  const until = before ? `, changed ${time(found.changed_at, found.changed_by)}` : ""
  const running = found.clients.reduce((sum, { runs }) => sum + runs, 0)
  return `${name}   ${set}${until}   exposed to ${count}${running === 0 ? "" : `, ${counted(running, "program")} running`}`
}

const nowOf = (row: Client, now: number): string => {
  const { active_leases: active, active_until: until, run, runs } = row
  const pid = run?.pid === undefined ? "" : ` (pid ${run.pid})`
  const lease =
    active === 0 || typeof until !== "string"
      ? []
      : [`${active === 1 ? "lease" : counted(active, "lease")} until ${shownTime(until, now)}`]
  const running = runs === 0 ? [] : [runs === 1 ? `runs${pid}` : `${runs} run`]
  return [...running, ...lease].join(", ") || "-"
}

/** Returns what the rows cannot show. */
const cautionsOf = (found: SecretExposure, now: number): ReadonlyArray<string> => {
  const older = `secrets exposure ${typedName(found.secret)} --before-change`
  const { last_backup_at: backup, leases_of_older_value: leases, rotated_at: rotated, value_set_by: by } = found
  const runs = found.runs_with_older_value.length
  return [
    runs === 0 ? "" : `${counted(runs, "program")} still ${runs === 1 ? "runs" : "run"} with an older value: ${older}`,
    leases === 0 ? "" : `${counted(leases, "lease")} of an older value ${leases === 1 ? "is" : "are"} active: ${older}`,
    rotated === undefined
      ? ""
      : `Its command ran ${shownTime(rotated, now)} and kept the stored value: only the provider knows whether these still work.`,
    by === "store_restore" ? `The value is from a backup: who had it before then is in: ${older}` : "",
    by === "secret_add" && found.earlier_values ? `It was added again. If that is the value of before: ${older}` : "",
    backup === undefined ? "" : `A backup of ${shownTime(backup, now)} holds the value.`
  ].filter((line) => line !== "")
}

const endOf = ({ rotate_via: hasHook, secret, stored }: SecretExposure): string => {
  const name = typedName(secret)
  if (stored === false) return `${quote(secret)} is deleted here. To end it: change it at its provider`
  return hasHook
    ? `To end it: secrets rotate ${name}   (then: secrets exposure ${name} --before-change)`
    : `To end it: change it at its provider, then: secrets update ${name}`
}
