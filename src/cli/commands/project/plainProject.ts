/**
 * Reads a `.secrets.json` where it is written plainly, as most are: secrets alone, and texts of ASCII. Any other
 * file is decoded by its schema, which takes a tenth of the time of `exec` to load. It rejects nothing.
 */
import { variableProblem } from "../../../domain/envFile.ts"
import { isTtl } from "../../../domain/GoDuration.ts"
import type { StoreProject } from "../../../domain/ProjectFile.ts"

type Check = (text: string) => boolean

const isPlainText: Check = (text) => /^[ -~]{1,256}$/.test(text)
const isVariable: Check = (text) => isPlainText(text) && variableProblem(text) === undefined
const isPlainTtl: Check = (text) => /^\d{1,3}[smh]$/.test(text) && isTtl(text)

const secretForm = { name: isPlainText, env_var: isVariable }
const optionalForm = { ttl: isPlainTtl }
const projectForm = { $schema: isPlainText, client_id: isPlainText, ttl: isPlainTtl }

/** Returns the project; undefined if it has to be decoded. */
export const plainProject = (value: unknown): StoreProject | undefined => (isPlain(value) ? value : undefined)

/** Returns whether a project is written plainly. A test compares it with the schema. */
const isPlain = (value: unknown): value is StoreProject => {
  if (!isObject(value)) return false
  const { secrets, ...others } = value
  return hasForm(others, {}, projectForm) && Array.isArray(secrets) && hasPlainSecrets(secrets)
}

const hasPlainSecrets = (secrets: ReadonlyArray<unknown>): boolean => {
  const variables = secrets.map((secret) => (isObject(secret) ? secret["env_var"] : undefined))
  return (
    new Set(variables).size === secrets.length &&
    secrets.every((secret) => isObject(secret) && hasForm(secret, secretForm, optionalForm))
  )
}

const hasForm = (
  value: Readonly<Record<string, unknown>>,
  required: Readonly<Record<string, Check>>,
  optional: Readonly<Record<string, Check>>
): boolean => {
  const checks = new Map(Object.entries({ ...required, ...optional }))
  return (
    Object.keys(required).every((member) => Object.hasOwn(value, member)) &&
    Object.entries(value).every(([member, text]) => typeof text === "string" && checks.get(member)?.(text) === true)
  )
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
