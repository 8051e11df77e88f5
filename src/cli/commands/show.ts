/**
 * secrets show: prints what is known about a secret, never its value.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { counted } from "../../domain/counted.ts"
import { escapeValue } from "../../domain/escape.ts"
import { optional, type Shaped } from "../../domain/shape.ts"
import { callForSecret } from "../command/callForSecret.ts"
import { defineCommand } from "../command/Command.ts"
import { loadClientId, loadDaemon } from "../command/settings.ts"
import { ageOf, shownTime, timeUntil } from "../terminal/times.ts"

const shownExample = {
  name: "",
  description: optional(""),
  kind: "",
  form: "",
  valid_until: optional(""),
  length: optional(0),
  lines: optional(0),
  ending: optional(""),
  fingerprint: optional(""),
  created_at: "",
  updated_at: "",
  last_rotated: "",
  rotate_via: optional(""),
  rotate_stdout: optional(true),
  proxy_only: optional(true),
  active_leases: 0,
  leases: [{ lease_id: "", client_id: "", created_at: "", expires_at: "" }],
  last_lease: optional({ client_id: "", leased_at: "" }),
  searched_all: true
}
export type ShownSecret = Shaped<typeof shownExample>

export const showCommand = defineCommand({
  name: "show",
  summary: "Show what is known about a secret, never its value",
  positionals: "NAME",
  arity: [1, 1],
  completes: "secret",
  flags: {},
  examples: ["secrets show github_token", "secrets show github_token --json"],
  about:
    "The daemon recognizes the kind by the form of the value; it does not ask the issuer. " +
    "The fingerprint shows whether two values of this store are the same, or whether a value has changed. " +
    "It is computed with the key of the store: without that key, no guess can be compared with it.",
  run: Effect.fnUntraced(function* (args) {
    const [name = ""] = args.positionals
    const daemon = yield* loadDaemon(args)
    const shown = yield* callForSecret(
      daemon,
      "secrets.show",
      name,
      { name, client_id: yield* loadClientId(args) },
      shownExample
    )
    return { lines: linesOfSecret(shown, yield* Clock.currentTimeMillis), result: shown }
  })
})

/** Leases that fit on a screen with what is above them. */
const maxRows = 20

export const linesOfSecret = (secret: ShownSecret, now: number): ReadonlyArray<string> => {
  const since = (time: string) => `${shownTime(time, now)}, ${ageOf(time, now)} ago`
  const { description, fingerprint, last_lease: last, leases, rotate_via: command } = secret
  const rows: ReadonlyArray<readonly [label: string, text: string | undefined]> = [
    ["description", description === undefined ? undefined : escapeValue(description)],
    ["for", secret.proxy_only === true ? "the proxy only: nobody gets the value" : undefined],
    ["kind", `${secret.kind === "text" ? "" : `${secret.kind}: `}${secret.form}${validity(secret, now)}`],
    ["length", lengthOf(secret)],
    ["fingerprint", fingerprint?.match(/.{1,4}/g)?.join(" ")],
    ["set", since(secret.updated_at)],
    ["rotated", ageOf(secret.last_rotated, now) === "never" ? "never" : since(secret.last_rotated)],
    [
      "rotation",
      command === undefined
        ? undefined
        : `${escapeValue(command)}${secret.rotate_stdout === true ? "   (its output is the new value)" : ""}`
    ],
    [
      "last leased",
      last === undefined ? unused(secret) : `${since(last.leased_at)}, by ${escapeValue(last.client_id)}`
    ],
    ...leases
      .toReversed()
      .slice(0, maxRows)
      .map(({ client_id, expires_at }, at) => {
        return [
          at === 0 ? "leased by" : "",
          `${escapeValue(client_id)}, for ${timeUntil(expires_at, now)} more`
        ] as const
      }),
    ["", secret.active_leases > maxRows ? `and ${secret.active_leases - maxRows} more: secrets leases` : undefined]
  ]
  return [
    escapeValue(secret.name),
    ...rows.flatMap(([label, text]) => (text === undefined ? [] : [`  ${label.padEnd(labelWidth)}${text}`]))
  ]
}

const labelWidth = "fingerprint".length + 2

const validity = ({ valid_until: end }: ShownSecret, now: number): string => {
  if (end === undefined) return ""
  const isOver = timeUntil(end, now) === "0s"
  return isOver ? `, EXPIRED ${shownTime(end, now)}` : `, valid until ${shownTime(end, now)} (${timeUntil(end, now)})`
}

const lengthOf = ({ ending, length, lines }: ShownSecret): string | undefined => {
  if (length === undefined || lines === undefined) return undefined
  const end = ending === "none" ? "no white space at the end" : `a ${ending} at the end`
  return `${counted(length, "byte")}, ${counted(lines, "line")}, ${end}`
}

const unused = ({ searched_all: isComplete }: ShownSecret): string | undefined => (isComplete ? "never" : undefined)
