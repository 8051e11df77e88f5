/**
 * Addresses of servers that get credentials, as `helpers` of config.json names them, and whether a
 * request is for one of them: the scheme, the host and the port are equal, and the path is below
 * the target's by whole segments. A text that is not plainly such an address matches nothing.
 *
 * It imports nothing: helpers start without a library.
 */

export interface TargetUrl {
  readonly scheme: string
  /** In lower case, with the port unless it is the scheme's. */
  readonly host: string
  readonly path: ReadonlyArray<string>
}

const authority = /^([a-z0-9]+(?:[.-][a-z0-9]+)*|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?$/
const loopback = /^(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:|$)/
const defaultPorts: Partial<Record<string, string>> = { https: "443", http: "80" }

/** What a server may take for the directory itself or the one above it, also after it decodes it once more. */
const dots = /^(\.|%2e){1,2}$/i

/** Makes an address of its parts; undefined if a credential must not go there: only https is safe, and http on loopback. */
export const targetUrl = (scheme: string, host: string, path = ""): TargetUrl | undefined => {
  const [, name = "", port] = authority.exec(host.toLowerCase()) ?? []
  const segments = path.split("/").filter((segment) => segment !== "")
  const isSafe = scheme === "https" || (scheme === "http" && loopback.test(name))
  // oxlint-disable-next-line no-control-regex -- no server has such a path
  if (name === "" || !isSafe || segments.some((one) => dots.test(one) || /[\\\x00-\x1f\x7f]/.test(one)))
    return undefined
  return {
    scheme,
    host: port === undefined || port === defaultPorts[scheme] ? name : `${name}:${port}`,
    path: segments
  }
}

/** Reads an address; undefined if it is none, or has a user, a query or a fragment. */
export const parseTargetUrl = (text: string): TargetUrl | undefined => {
  const [, scheme = "", host = "", path] = /^([a-z]+):\/\/([^/?#]+)(\/[^?#]*)?$/i.exec(text) ?? []
  return targetUrl(scheme.toLowerCase(), host, path)
}

/** Finds the target of a request; of several, the one with the longest path. */
export const findTargetUrl = <Target>(
  targets: Readonly<Record<string, Target>>,
  asked: TargetUrl | undefined
): { readonly key: string; readonly target: Target } | undefined =>
  asked === undefined
    ? undefined
    : Object.entries(targets)
        .flatMap(([key, target]) => {
          const url = parseTargetUrl(key)
          return url !== undefined && isBelow(asked, url) ? [{ key, target, length: url.path.length }] : []
        })
        .toSorted((a, b) => b.length - a.length)[0]

const isBelow = (asked: TargetUrl, { host, path, scheme }: TargetUrl): boolean =>
  asked.scheme === scheme && asked.host === host && path.every((segment, at) => asked.path[at] === segment)

/** Names of one registry, which programs ask for in turn. */
const dockerHub = ["docker.io", "registry-1.docker.io"]

/** Returns one name for all spellings of a container registry: with a scheme, or the version of its interface. */
export const registryName = (text: string): string | undefined => {
  const url = parseTargetUrl(text.includes("://") ? text : `https://${text}`)
  if (url === undefined) return undefined
  const host = dockerHub.includes(url.host) ? "index.docker.io" : url.host
  const path = url.path.length === 1 && /^v[12]$/.test(url.path[0] ?? "") ? [] : url.path
  return [host, ...path].join("/")
}

const isNamed = (key: string): boolean => /^[^\p{Cc}]+$/u.test(key)
const isUrl = (key: string): boolean => parseTargetUrl(key) !== undefined

/** Whether a key of config.json names a target of a protocol. */
export const targetKeys = {
  git: isUrl,
  docker: (key: string): boolean => registryName(key) !== undefined,
  aws: isNamed,
  kubernetes: isNamed,
  openclaw: isNamed,
  askpass: isNamed,
  terraform: (key: string): boolean => parseTargetUrl(`https://${key}`)?.path.length === 0,
  cargo: (key: string): boolean => isUrl(key.replace(/^sparse\+/, "")),
  pip: isUrl
}
