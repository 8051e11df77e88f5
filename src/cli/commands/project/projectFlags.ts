/**
 * The flags of `env` and `exec` that say what is wanted. They stand apart from what
 * reads project files, so that their help does not wait for that.
 */
import type { Flags } from "../../command/Command.ts"

/** The flags that say what is wanted. */
export const projectFlags = {
  secret: {
    type: "string",
    value: "NAME[=VAR]",
    summary: "a secret, and its variable; may be repeated, and stands for the project file",
    completes: "secret",
    repeated: true
  },
  project: { type: "string", value: "PATH", summary: "another .secrets.json than the nearest", completes: "file" },
  ttl: { type: "string", value: "DURATION", summary: "how long, over what the project file says" },
  "client-id": { type: "string", value: "ID", summary: "who leases" }
} as const satisfies Flags
