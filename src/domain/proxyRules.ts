/**
 * Which requests may pass a route of the proxy: by method and by path, as the upstream gets them.
 *
 * A path must be its own normal form, so that the upstream reads it as we do. A request must pass
 * under every reading of its path: as it is written, and decoded. `secrets proxy check` and the
 * worker decide with this one function.
 */
import { matchesSequence } from "./glob.ts"

/** What limits a route. An absent list limits nothing. */
export interface RouteRules {
  readonly methods?: ReadonlyArray<string> | undefined
  /** Globs of the paths that may pass. */
  readonly paths?: ReadonlyArray<string> | undefined
  /** Globs of those that may not; they decide first. */
  readonly deny?: ReadonlyArray<string> | undefined
}

export type RuleVerdict =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly code: "method" | "path"; readonly status: 400 | 403; readonly why: string }

const allowed: RuleVerdict = { allowed: true }
const refused = (code: "method" | "path", status: 400 | 403, why: string): RuleVerdict => ({
  allowed: false,
  code,
  status,
  why
})

/** Methods that no route takes: one echoes the credential, the other opens a tunnel. */
const neverTaken: ReadonlySet<string> = new Set(["TRACE", "CONNECT"])

/** Makes the judge of a route. A request must pass all rules: those of the user, and those that narrow them. */
export const makeRequestJudge = (all: ReadonlyArray<RouteRules>) => {
  const compiled = all.map(({ deny = [], methods, paths }) => ({
    methods: methods === undefined ? undefined : new Set(methods),
    paths: paths?.map((glob) => ({ glob, matches: pathGlob(glob) })),
    // A server may take both cases of a path for one.
    deny: deny.map((glob) => ({ glob, matches: pathGlob(glob.toLowerCase()) }))
  }))
  /** Judges a request by its method and its target: the path, and the query if there is one. */
  return (method: string, target: string): RuleVerdict => {
    if (neverTaken.has(method)) return refused("method", 403, `${method} is never passed on`)
    const { path, query } = splitTarget(target)
    const problem = pathProblem(path)
    if (problem !== undefined) return refused("path", 400, `the path ${problem}`)
    const readings = readingsOf(path, query)
    const bare = readings.flatMap(withoutParameters)
    for (const { deny, methods, paths } of compiled) {
      if (methods?.has(method) === false) return refused("method", 403, `only ${[...methods].join(", ")} may be used`)
      const denied = deny.find(({ matches }) => bare.some((reading) => matches(reading.toLowerCase())))
      if (denied !== undefined) return refused("path", 403, `${denied.glob} is denied`)
      if (paths?.length === 0) return refused("path", 403, "no path is permitted")
      if (paths !== undefined && !readings.every((reading) => paths.some(({ matches }) => matches(reading)))) {
        return refused("path", 403, `only ${paths.map(({ glob }) => glob).join(", ")} may be used`)
      }
    }
    return allowed
  }
}

export const splitTarget = (target: string): { readonly path: string; readonly query: string } => {
  const at = target.indexOf("?")
  return at < 0 ? { path: target, query: "" } : { path: target.slice(0, at), query: target.slice(at + 1) }
}

/** Segments that lead upwards, also with parameters, which some servers remove first. */
const dots = /^\.{1,2}(;|$)/

/** How often a path is decoded: servers behind servers do it more than once. */
const mostDecodings = 4

/** Returns what is wrong with a path, as the rest of a sentence; undefined if every server reads it as we do. */
export const pathProblem = (path: string): string | undefined => {
  if (!path.startsWith("/")) return "does not begin with a slash"
  const readings = decodings(path)
  if (readings === undefined) return "is not encoded correctly"
  for (const reading of readings) {
    // oxlint-disable-next-line no-control-regex -- no server has such a path
    if (/[\\\x00-\x1f\x7f]/.test(reading)) return "has a backslash or a control character"
    if (reading.split("/").some((segment) => dots.test(segment))) return "has a dot segment"
  }
  if (path.includes("//")) return "has an empty segment"
  return new URL(path, "https://upstream.invalid").pathname === path ? undefined : "is not in its normal form"
}

/** Returns a path as it is, and decoded until nothing is left to decode; undefined if it cannot be decoded. */
const decodings = (path: string): ReadonlyArray<string> | undefined => {
  const readings = [path]
  for (let reading = path; reading.includes("%");) {
    const [isFirst, decoded] = [readings.length === 1, decoded1(reading)]
    // What was encoded twice may be a percent sign that a name has.
    if (decoded === undefined) return isFirst ? undefined : readings
    if (readings.length > mostDecodings) return undefined
    readings.push(decoded)
    reading = decoded
  }
  return readings
}

const decoded1 = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** Returns every path that a request may be taken for. */
const readingsOf = (path: string, query: string): ReadonlyArray<string> =>
  (decodings(path) ?? [path]).flatMap((reading) => asService(reading, query))

const discovery = /\/info\/refs$/

/** Returns the path of the service that git asks for first: `…/info/refs?service=git-receive-pack` counts as `…/git-receive-pack`. */
const asService = (path: string, query: string): ReadonlyArray<string> => {
  const services = discovery.test(path) ? new URLSearchParams(query).getAll("service") : []
  return services.length === 0 ? [path] : services.map((service) => path.replace(discovery, `/${service}`))
}

/** Adds what servers make of a path that pass over a slash at its end, or parameters of a segment. */
const withoutParameters = (path: string): ReadonlyArray<string> => {
  const plain = path.replace(/;[^/]*/g, "")
  return [path, plain, plain.replace(/(?<=.)\/+$/, "")]
}

/** Returns what is wrong with a glob, as the rest of a sentence. */
export const pathGlobProblem = (glob: string): string | undefined => {
  if (!/^(\/|\*\*)/.test(glob)) return "must begin with a slash"
  if (/[?#]/.test(glob)) return "must be of the path alone, without a query"
  if (segmentsOf(glob).some((segment) => segment !== "**" && segment.includes("**")))
    return "may have ** only as a whole segment"
  return undefined
}

const segmentsOf = (path: string): ReadonlyArray<string> => (path.startsWith("/") ? path.slice(1) : path).split("/")

/** Makes a matcher of paths: `*` is any text in a segment, and the segment `**` any number of segments, also none. */
export const pathGlob = (glob: string): ((path: string) => boolean) => {
  const segments = segmentsOf(glob)
  return (path) => matchesSequence(segments, segmentsOf(path), (part) => part === "**", matchesSegment)
}

const matchesSegment = (segment: string, text: string): boolean =>
  matchesSequence([...segment], [...text], (part) => part === "*", isSame)

const isSame = (one: string, other: string): boolean => one === other

/** Returns whether a path may exist that both globs match; true where that is not plain to see. */
export const pathGlobsOverlap = (one: string, other: string): boolean => overlap(segmentsOf(one), segmentsOf(other))

const overlap = (one: ReadonlyArray<string>, other: ReadonlyArray<string>): boolean => {
  const [[first, ...rest], [second, ...others]] = [one, other]
  if (first === "**" || second === "**") return true
  if (first === undefined || second === undefined) return first === second
  return mayBeOne(first, second) && overlap(rest, others)
}

/** Compares what stands before the first wildcard of two segments, and after the last. */
const mayBeOne = (one: string, other: string): boolean => {
  const [before, after] = [one.split("*"), other.split("*")]
  if (before.length === 1 && after.length === 1) return one === other
  return beginAlike(before[0], after[0]) && endAlike(before.at(-1), after.at(-1))
}

const beginAlike = (one = "", other = ""): boolean => one.startsWith(other) || other.startsWith(one)
const endAlike = (one = "", other = ""): boolean => one.endsWith(other) || other.endsWith(one)
