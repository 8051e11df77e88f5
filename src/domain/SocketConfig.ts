/**
 * The sockets of config.json: their modes, roles and limits. ListenSocket.ts says what a
 * daemon makes of them.
 */
import * as Schema from "effect/Schema"
import { type Role, roles } from "./Caller.ts"
import type { ListenSocket, SocketAccess } from "./ListenSocket.ts"
import * as Setting from "./Setting.ts"
import { optionalSetting, section, setting } from "./Setting.ts"

export const socketMode = Setting.oneOf(["0600", "0660"], "0600 or 0660")
export const socketGroup = Schema.String.annotate({ expected: "the name of a group" })

/** The roles that are limited to some secrets and to client ids of their own. */
const limitedRoles: ReadonlyArray<Role> = ["lease", "use"]

const wrong = (key: string, issue: string) => ({ path: [key], issue })

const groupRule = Setting.requires("mode", "0660", "group", "is required when mode is 0660")

/** One element of `sockets`. */
export const socketSection = section({
  path: Setting.pathText("its path; required"),
  role: Setting.oneOf(roles, undefined, "what it is for; required"),
  mode: setting(socketMode, "who may use it: its owner, or with 0660 a group as well", "0600"),
  group: setting(socketGroup, "the name of that group; required with 0660", ""),
  secrets: optionalSetting(
    Schema.Array(Setting.glob).annotate({ expected: "a list of globs" }),
    "globs of the secrets that the roles lease and use are limited to; required for them"
  ),
  client_prefix: optionalSetting(
    Schema.String.annotate({ expected: "a text" }),
    "what the daemon puts before each client id of the roles lease and use; required for them"
  )
})
  .annotate({ allOf: groupRule.annotations?.["allOf"] })
  .check(
    Schema.makeFilter(({ client_prefix = "", mode, role, secrets = [] }) => {
      const isLimited = limitedRoles.includes(role)
      if (role === "owner" && mode !== "0600") return wrong("mode", "must be 0600 for the role owner")
      if (isLimited && secrets.length === 0) return wrong("secrets", `is required for the role ${role}`)
      if (isLimited && client_prefix === "") return wrong("client_prefix", `is required for the role ${role}`)
      if (!isLimited && secrets.length > 0) return wrong("secrets", `does not apply to the role ${role}`)
      return isLimited || client_prefix === "" || wrong("client_prefix", `does not apply to the role ${role}`)
    }),
    groupRule
  )

/** Returns who may use a socket. */
export const accessFrom = (mode: "0600" | "0660", group: string): SocketAccess =>
  mode === "0600" ? { mode: 0o600 } : { mode: 0o660, group }

/** Returns a socket as the daemon uses it; `path` is that of the file without a tilde. */
export const socketFrom = (one: typeof socketSection.Type, path: string): ListenSocket => ({
  path,
  access: accessFrom(one.mode, one.group),
  role: one.role,
  secrets: one.secrets ?? [],
  clientPrefix: one.client_prefix ?? ""
})

/** Names two sockets whose clients could use the same ids, and so end each other's leases. */
export const overlappingClients = (sockets: ReadonlyArray<ListenSocket>): string | undefined => {
  const limited = sockets.flatMap(({ clientPrefix }, index) => (clientPrefix === "" ? [] : [{ clientPrefix, index }]))
  for (const one of limited) {
    const other = limited.find(
      ({ clientPrefix, index }) => index !== one.index && clientPrefix.startsWith(one.clientPrefix)
    )
    if (other !== undefined) {
      return `sockets[${other.index}].client_prefix must not begin with that of sockets[${one.index}]`
    }
  }
  return undefined
}
