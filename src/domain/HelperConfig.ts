/**
 * The section `helpers` of config.json: for each protocol of `secrets helper`, which secret
 * goes to which target. The daemon checks it and uses none of it.
 */
import * as Schema from "effect/Schema"
import { hour, minute } from "./GoDuration.ts"
import * as Setting from "./Setting.ts"
import { optionalSetting, section } from "./Setting.ts"
import { targetKeys } from "./targetUrl.ts"

const name = (description: string) => Setting.text(/^[^\0]+$/u, "the name of a secret", description)
const secret = name("the secret; required")
const optionalName = (description: string) =>
  optionalSetting(Setting.text(/^[^\0]+$/u, "the name of a secret"), description)
const line = Setting.text(/^[^\p{Cc}]+$/u, "a text of one line")
const username = optionalSetting(line, "the user name that goes with it")
const ttl = optionalSetting(Setting.duration(), "the TTL of its leases, instead of helpers.ttl")

/** Makes the targets of one protocol; `isTarget` decides which keys name one. A key that is none may hold a credential. */
const targets = <T, E>(target: Schema.Codec<T, E>, expected: string, isTarget: (key: string) => boolean) =>
  Schema.Record(Schema.String, target)
    .check(
      Schema.makeFilter((given) => {
        const wrong = Object.keys(given).findIndex((key) => !isTarget(key))
        return wrong < 0 || `has a target (number ${wrong + 1}) that is not named by ${expected}`
      })
    )
    .annotate({ expected: "a JSON object" })

const target = <Fields extends Schema.Struct.Fields>(description: string, fields: Fields) =>
  section({ ...fields, ttl }).annotate({ expected: "a JSON object", description })

const withUser = (what: string) => target(what, { secret, username })

/** The SDKs come back 15 minutes before the end, and at 10 they must. */
const awsTtl = Setting.duration({ minimum: 20n * minute, maximum: 8760n * hour })

const aws = section({
  access_key_id: optionalName("the secret with the key id"),
  secret_access_key: optionalName("the secret with the key; required with access_key_id"),
  session_token: optionalName("the secret with the session token"),
  secret: optionalName("one secret whose value is JSON with AccessKeyId and SecretAccessKey, instead of these"),
  ttl: optionalSetting(awsTtl, "the TTL of its leases, from 20m")
})
  .annotate({ expected: "a JSON object", description: "a profile" })
  .check(
    Schema.makeFilter(({ access_key_id: id, secret, secret_access_key: key, session_token: token }) => {
      if (secret !== undefined)
        return (id ?? key ?? token) === undefined || { path: ["secret"], issue: "excludes the other secrets" }
      if (id === undefined) return { path: ["access_key_id"], issue: "or secret is required" }
      return key !== undefined || { path: ["secret_access_key"], issue: "is required with access_key_id" }
    })
  )

const kubernetes = target("a user of a kubeconfig", {
  secret: optionalName("the secret with the token"),
  client_certificate: optionalName("the secret with a certificate in PEM"),
  client_key: optionalName("the secret with its key; required with client_certificate"),
  server: optionalSetting(line, "the only server that gets it, if kubectl names the cluster")
}).check(
  Schema.makeFilter(({ client_certificate: certificate, client_key: key, secret }) => {
    if (secret === undefined && certificate === undefined) return { path: ["secret"], issue: "is required" }
    return (
      (certificate === undefined) === (key === undefined) || {
        path: [key === undefined ? "client_key" : "client_certificate"],
        issue: "is required with the other one"
      }
    )
  })
)

export const helpersSection = section({
  ttl: optionalSetting(Setting.duration(), "the TTL of their leases, 15m if not set; aws has 1h"),
  git: optionalSetting(targets(withUser("an address"), "an https address", targetKeys.git), "by address"),
  docker: optionalSetting(
    targets(
      target("a registry", { secret, username: Setting.text(/^[^\p{Cc}]+$/u, "a text of one line", "required") }),
      "a registry",
      targetKeys.docker
    ),
    "by registry"
  ),
  aws: optionalSetting(targets(aws, "a profile", targetKeys.aws), "by profile"),
  kubernetes: optionalSetting(targets(kubernetes, "a name", targetKeys.kubernetes), "by a name of yours"),
  openclaw: optionalSetting(
    targets(
      target("a glob of ids", {
        secret: optionalName("the secret, instead of the id"),
        prefix: optionalSetting(line, "what the name of the secret has before the id")
      }),
      "a glob of ids",
      targetKeys.openclaw
    ),
    "by globs of the ids; the most exact one decides"
  ),
  askpass: optionalSetting(
    targets(withUser("a glob of prompts"), "a glob of prompts", targetKeys.askpass),
    "by globs of the prompt"
  ),
  terraform: optionalSetting(targets(target("a host", { secret }), "a host", targetKeys.terraform), "by host"),
  cargo: optionalSetting(
    targets(target("an index", { secret }), "the URL of an index", targetKeys.cargo),
    "by the URL of the index"
  ),
  pip: optionalSetting(targets(withUser("an index"), "an https address", targetKeys.pip), "by the address of the index")
})

/** The targets of every protocol, by its name. */
export type HelperTargets = typeof helpersSection.Type
