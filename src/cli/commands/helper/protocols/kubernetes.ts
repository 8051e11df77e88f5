/**
 * kubernetes: an exec plugin of client-go, an ExecCredential of the version that is asked for. The
 * request is in a variable; with it, the server may be named, and then must be the target's.
 */
import {
  answered,
  type HelperCall,
  type HelperPlan,
  type HelperProtocol,
  noTarget,
  oneLine,
  targetNamed,
  ttlOf,
  unfit
} from "../Protocol.ts"

const versions = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]

interface User {
  readonly ttl?: bigint | undefined
  readonly secret?: string | undefined
  readonly client_certificate?: string | undefined
  readonly client_key?: string | undefined
  readonly server?: string | undefined
}

export const kubernetes: HelperProtocol = {
  plan: ({ env, name, targets, words }: HelperCall): HelperPlan => {
    const [user = ""] = words
    const info = infoIn(env["KUBERNETES_EXEC_INFO"])
    if (info === undefined) {
      const problem = unfit(
        "KUBERNETES_EXEC_INFO is not an ExecCredential of v1 or v1beta1",
        `Set apiVersion to ${versions[0]} in the kubeconfig`
      )
      return { kind: "problem", problem }
    }
    const target: User | undefined = name === undefined ? targetNamed(targets?.kubernetes, user) : { secret: name }
    if (target === undefined) return noTarget("kubernetes", user)
    if (target.server !== undefined && info.server !== undefined && !isSameServer(target.server, info.server)) {
      const problem = unfit(
        `the target ${JSON.stringify(user)} is for another server than the cluster's`,
        "Use another user for this cluster, or correct helpers.kubernetes in config.json"
      )
      return { kind: "problem", problem }
    }
    return {
      kind: "lease",
      target: user === "" ? (name ?? "") : user,
      secrets: [target.secret, target.client_certificate, target.client_key].flatMap((secret) => secret ?? []),
      ttl: ttlOf(target),
      render: ({ expiresAt, valueOf }) => {
        const of = (secret: string | undefined) => (secret === undefined ? undefined : valueOf(secret))
        const token = target.secret === undefined ? undefined : oneLine(valueOf(target.secret))
        if (typeof token === "object") return token
        const status = {
          expirationTimestamp: expiresAt,
          token,
          clientCertificateData: of(target.client_certificate),
          clientKeyData: of(target.client_key)
        }
        return answered(`${JSON.stringify({ apiVersion: info.version, kind: "ExecCredential", status })}\n`)
      }
    }
  }
}

/** Returns the version to answer, and the server if it is named; undefined if the request is none. */
const infoIn = (
  text: string | undefined
): { readonly version: string; readonly server: string | undefined } | undefined => {
  if (text === undefined || text === "") return { version: "client.authentication.k8s.io/v1", server: undefined }
  try {
    const info: unknown = JSON.parse(text)
    const server = memberIn(memberIn(memberIn(info, "spec"), "cluster"), "server")
    const version = versions.find((one) => one === memberIn(info, "apiVersion"))
    if (version === undefined || memberIn(info, "kind") !== "ExecCredential") return undefined
    return { version, server: typeof server === "string" ? server : undefined }
  } catch {
    return undefined
  }
}

const memberIn = (above: unknown, member: string): unknown => Reflect.get(Object(above), member)

const isSameServer = (one: string, other: string): boolean =>
  URL.canParse(one) &&
  URL.canParse(other) &&
  new URL(one).href.replace(/\/$/, "") === new URL(other).href.replace(/\/$/, "")
