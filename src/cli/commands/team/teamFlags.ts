/** The flags of `secrets team`. */
import type { ArgsOf } from "../../command/Command.ts"

export const teamFlags = {
  "admin-url": {
    type: "string",
    value: "URL",
    summary: "init, migrate, add, remove: the database, with a role that may create roles; its password is PGPASSWORD"
  },
  ca: {
    type: "string",
    value: "FILE",
    summary: "init, migrate, add, remove: the certificates that the server's must descend from, in PEM"
  },
  name: {
    type: "string",
    value: "NAME",
    summary: "init, request: the name of this machine in the team (the host name)"
  },
  "no-paper": { type: "boolean", summary: "init: make no key on paper, which opens every secret" },
  admin: { type: "boolean", summary: "add: the machine may change the list of machines too" },
  group: { type: "string", value: "GROUP", summary: "add: a group of the machine; may be given several times" },
  out: { type: "string", value: "FILE", summary: "add: the invitation (MACHINE.invitation)", completes: "file" },
  yes: { type: "boolean", short: "y", summary: "add, remove: do not ask" },
  rotate: { type: "boolean", summary: "remove: run the rotation commands of what the machine could read" },
  import: { type: "boolean", summary: "join: put the secrets of this machine in" },
  "keep-aside": {
    type: "boolean",
    summary: "join: keep the secrets of this machine in its store, unused (the default)"
  },
  "without-database": {
    type: "boolean",
    summary: "leave: although the database does not answer, or does not know this machine"
  },
  "keep-secrets": { type: "boolean", summary: "leave: keep the secrets of the team in the store of this machine" }
} as const

export type TeamArgs = ArgsOf<typeof teamFlags>
