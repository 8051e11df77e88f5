/**
 * Reads the section `helpers` of config.json where it is written plainly, as most are: known members, and texts
 * of ASCII. Whatever else there may be is decoded by the schema of the file, which takes longer to load than the
 * rest of a helper to run. It rejects nothing.
 */
import type { HelperTargets } from "../../../domain/HelperConfig.ts"
import { targetKeys } from "../../../domain/targetUrl.ts"

type Protocol = keyof typeof targetKeys

/** The members that a target must have, and those that it may have. */
type Form = readonly [required: ReadonlyArray<string>, optional: ReadonlyArray<string>]

const withUser: ReadonlyArray<Form> = [[["secret"], ["username"]]]
const secretAlone: ReadonlyArray<Form> = [[["secret"], []]]

const forms: Readonly<Record<Protocol, ReadonlyArray<Form>>> = {
  git: withUser,
  docker: [[["secret", "username"], []]],
  aws: [
    [["access_key_id", "secret_access_key"], ["session_token"]],
    [["secret"], []]
  ],
  kubernetes: [
    [["secret"], ["server"]],
    [
      ["client_certificate", "client_key"],
      ["secret", "server"]
    ]
  ],
  openclaw: [[[], ["secret", "prefix"]]],
  askpass: withUser,
  terraform: secretAlone,
  cargo: secretAlone,
  pip: withUser
}

/** Returns the targets of all protocols, without `ttl`; undefined if the section has to be decoded. */
export const plainTargets = (helpers: unknown): HelperTargets | undefined =>
  hasPlainTargets(helpers) ? { ...helpers, ttl: undefined } : undefined

/** Returns whether the targets are written plainly. A test compares it with the schema. */
const hasPlainTargets = (helpers: unknown): helpers is Omit<HelperTargets, "ttl"> =>
  isObject(helpers) && Object.entries(helpers).every(([name, section]) => name === "ttl" || isPlain(name, section))

const isPlain = (name: string, section: unknown): boolean =>
  isProtocol(name) &&
  isObject(section) &&
  Object.entries(section).every(
    ([key, target]) => isPlainText(key) && targetKeys[name](key) && forms[name].some((form) => hasForm(target, form))
  )

const hasForm = (target: unknown, [required, optional]: Form): boolean =>
  isObject(target) &&
  required.every((member) => Object.hasOwn(target, member)) &&
  Object.entries(target).every(
    ([member, text]) => (required.includes(member) || optional.includes(member)) && isPlainText(text)
  )

const isProtocol = (name: string): name is Protocol => Object.hasOwn(forms, name)

const isPlainText = (text: unknown): boolean => typeof text === "string" && /^[ -~]+$/.test(text)

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
