/**
 * aws: a `credential_process` of the AWS SDKs, version 1. The SDK comes back before the expiration,
 * ten to fifteen minutes early, so a shorter lease would be asked for again and again.
 */
import { memberOf } from "../../../../domain/reference.ts"
import {
  answered,
  type HelperLeases,
  type HelperPlan,
  type HelperProtocol,
  noTarget,
  targetNamed,
  ttlOf,
  unfit
} from "../Protocol.ts"

interface Profile {
  readonly ttl?: bigint | undefined
  readonly secret?: string | undefined
  readonly access_key_id?: string | undefined
  readonly secret_access_key?: string | undefined
  readonly session_token?: string | undefined
}

export const aws: HelperProtocol = {
  ttl: "1h",
  minTtl: 20 * 60,
  plan: ({ name, targets, words }): HelperPlan => {
    const [profile = ""] = words
    const target: Profile | undefined = name === undefined ? targetNamed(targets?.aws, profile) : { secret: name }
    if (target === undefined) return noTarget("aws", profile)
    return {
      kind: "lease",
      target: profile === "" ? (name ?? "") : profile,
      secrets: [target.secret, target.access_key_id, target.secret_access_key, target.session_token].flatMap(
        (secret) => secret ?? []
      ),
      ttl: ttlOf(target),
      render: (leased) => {
        const [id, key, token] = credentialOf(target, leased)
        if (id === undefined || key === undefined) {
          return unfit(
            "the value is not JSON with AccessKeyId and SecretAccessKey",
            "Store them as two secrets, access_key_id and secret_access_key of the target"
          )
        }
        const credential = {
          Version: 1,
          AccessKeyId: id,
          SecretAccessKey: key,
          SessionToken: token,
          Expiration: leased.expiresAt
        }
        return answered(`${JSON.stringify(credential)}\n`)
      }
    }
  }
}

const credentialOf = (target: Profile, { valueOf }: HelperLeases): ReadonlyArray<string | undefined> => {
  if (target.secret !== undefined) {
    const value = valueOf(target.secret)
    return ["AccessKeyId", "SecretAccessKey", "SessionToken"].map((member) => memberOf(value, member))
  }
  return [target.access_key_id, target.secret_access_key, target.session_token].map((secret) =>
    secret === undefined ? undefined : valueOf(secret).trim()
  )
}
