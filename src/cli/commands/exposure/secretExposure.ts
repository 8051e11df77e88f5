/**
 * The exposure of one secret, as lines: who was given its value, what nobody can know, and how to end it.
 */
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { quote } from "../../../domain/goText.ts"
import { optional, type Shaped } from "../../../domain/shape.ts"
import { nameWord } from "../../../domain/shellWord.ts"
import { table } from "../../terminal/table.ts"
import { shownTime } from "../../terminal/times.ts"

const clientExample = {
  client_id: "",
  grouped: true,
  via: "",
  program: optional(""),
  machine: optional(""),
  open: true,
  first: "",
  last: "",
  times: 0,
  lease_ids: [""],
  active_leases: 0,
  run: optional({ run_id: "", pid: optional(0) }),
  runs: 0,
  unwatched: optional(0)
}

export const secretExample = {
  secret: "",
  value_set_at: optional(""),
  value_set_by: optional(""),
  value_set_machine: optional(""),
  value_seq: optional(0),
  changed_at: optional(""),
  changed_by: optional(""),
  changed_machine: optional(""),
  rotated_at: optional(""),
  rotate_via: true,
  stored: optional(true),
  earlier_values: true,
  maybe_earlier_value: optional(true),
  complete: true,
  incomplete_because: [""],
  clients: [clientExample],
  total: 0,
  unnamed_clients: 0,
  leases_of_older_value: 0,
  unwatched_with_older_value: optional(0),
  runs_with_older_value: [{ run_id: "", client_id: "", program: optional(""), pid: optional(0), since: "" }],
  open_handouts: 0,
  last_backup_at: optional(""),
  log_from_seq: optional(0)
}
type SecretExposure = Shaped<typeof secretExample>
type Client = Shaped<typeof clientExample> & { readonly active_until?: unknown }

const verbs: Readonly<Record<string, string>> = {
  secret_add: "added",
  secret_update: "updated",
  secret_rotate: "rotated",
  store_restore: "restored"
}

/** Returns a number of programs, with its verb. */
export const programs = (count: number): string => counted(count, "program", "is")

export const secretLines = (found: SecretExposure, before: boolean, now: number): ReadonlyArray<string> => {
  const { clients, total } = found
  if (before && !found.earlier_values) return noEarlierLines(found)
  const isShared = clients.some(({ machine }) => machine !== undefined)
  const rows = clients.map((row: Client) => [
    row.client_id === "" ? `(${found.unnamed_clients} not named)` : `${row.client_id}${row.grouped ? "[…]" : ""}`,
    ...(isShared ? [row.machine ?? "here"] : []),
    row.via || "-",
    row.program ?? "-",
    shownTime(row.first, now),
    shownTime(row.last, now),
    `${row.times}`,
    nowOf(row, now)
  ])
  const left = total > clients.length ? [`and ${total - clients.length} more, used before these`] : []
  const head = ["CLIENT", ...(isShared ? ["MACHINE"] : []), "VIA", "PROGRAM", "FIRST", "LAST", "TIMES", "NOW"]
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

const noEarlierLines = ({ complete, incomplete_because, log_from_seq, secret }: SecretExposure) =>
  complete && log_from_seq === 1
    ? [`${escapeValue(secret)}   has had one value only`]
    : [
        `${escapeValue(secret)}   no earlier value is known`,
        ...(complete ? [] : [`There may have been one: ${incomplete_because.join("; ")}.`])
      ]

const titleOf = (found: SecretExposure, before: boolean, now: number): string => {
  const time = (at: string | undefined, by: string | undefined, machine: string | undefined) => {
    if (at === undefined) return "at an unknown time"
    const place = machine === undefined ? "" : ` on ${escapeValue(machine)}`
    return `${shownTime(at, now)}${by === undefined ? "" : ` (${verbs[by] ?? by}${place})`}`
  }
  const names = new Set(found.clients.map(({ client_id: id }) => id).filter((id) => id !== ""))
  const count = counted(names.size + found.unnamed_clients, "client")
  const name = escapeValue(found.secret)
  const set = `value set ${time(found.value_set_at, found.value_set_by, found.value_set_machine)}`
  const until = before ? `, changed ${time(found.changed_at, found.changed_by, found.changed_machine)}` : ""
  const running = found.clients.reduce((sum, { runs }) => sum + runs, 0)
  return `${name}   ${set}${until}   exposed to ${count}${running === 0 ? "" : `, ${counted(running, "program")} running`}`
}

const nowOf = (row: Client, now: number): string => {
  const { active_leases: active, active_until: until, run, runs, unwatched = 0 } = row
  const pid = run?.pid === undefined ? "" : ` (pid ${run.pid})`
  const lease =
    active === 0 || typeof until !== "string"
      ? []
      : [`${active === 1 ? "lease" : counted(active, "lease")} until ${shownTime(until, now)}`]
  const running = runs === 0 ? [] : [runs === 1 ? `runs${pid}` : `${runs} run`]
  const left = unwatched === 0 ? [] : [`${programs(unwatched)} not known to have ended`]
  return [...running, ...lease, ...left].join(", ") || "-"
}

const originOf = (by: string | undefined): string =>
  by === "store_restore"
    ? "The value is from a backup"
    : by === "secret_add"
      ? "It was added again"
      : "A value of before was set again"

/** Returns what the rows cannot show. */
const cautionsOf = (found: SecretExposure, now: number): ReadonlyArray<string> => {
  const older = `secrets exposure ${nameWord(found.secret)} --before-change`
  const { last_backup_at: backup, leases_of_older_value: leases, rotated_at: rotated } = found
  const { maybe_earlier_value: isMaybe = false, unwatched_with_older_value: unwatched = 0, value_set_by: by } = found
  const runs = found.runs_with_older_value.length
  return [
    runs === 0 ? "" : `${counted(runs, "program")} still ${runs === 1 ? "runs" : "run"} with an older value: ${older}`,
    leases === 0 ? "" : `${counted(leases, "lease")} of an older value ${leases === 1 ? "is" : "are"} active: ${older}`,
    unwatched === 0 ? "" : `${programs(unwatched)} not known to have ended, with an older value: ${older}`,
    found.clients.some((row) => (row.unwatched ?? 0) > 0)
      ? "Not known to have ended: the program was started with --no-register, or its secrets exec was killed or could not " +
        "report the end. A process id, if one is known: secrets audit --action run_end"
      : "",
    found.clients.some(({ via }) => via.startsWith("helper:"))
      ? "A program that asked a helper keeps the value until it ends, and nothing tells when that is."
      : "",
    rotated === undefined
      ? ""
      : `Its command ran ${shownTime(rotated, now)} and kept the stored value: only the provider knows whether these still work.`,
    isMaybe ? `${originOf(by)}, and may be one of before. Who had the last one: ${older}` : "",
    backup === undefined ? "" : `A backup of ${shownTime(backup, now)} holds the value.`
  ].filter((line) => line !== "")
}

const endOf = ({ rotate_via: hasHook, secret, stored }: SecretExposure): string => {
  const name = nameWord(secret)
  if (stored === false) return `${quote(secret)} is deleted here. To end it: change it at its provider`
  return hasHook
    ? `To end it: secrets rotate ${name}   (then: secrets exposure ${name} --before-change)`
    : `To end it: change it at its provider, then: secrets update ${name}`
}
