/**
 * The defaults of the settings. Config.ts decodes config.json and takes them from here.
 */
import { minute, second } from "./GoDuration.ts"
import { defaultMaxActiveLeases, defaultTtlPolicy } from "./Lease.ts"
import { defaultTools } from "./mcpTools.ts"
import { defaultOpenTime } from "./OpenRequest.ts"

/** The files of the state directory, by the settings that put them elsewhere. */
export const fileNames = {
  socket_path: "agent-secrets.sock",
  identity_path: "identity.age",
  secrets_path: "secrets.age",
  audit_path: "audit.log",
  leases_path: "leases.json"
} as const

/** The settings that are no path. */
export const defaults = {
  /** In bytes, and the number of rotated files that are kept. */
  auditRotation: { maxSize: 10_000_000, maxFiles: 5 },
  ttl: defaultTtlPolicy,
  maxActiveLeases: defaultMaxActiveLeases,
  socketAccess: { mode: 0o600 } as const,
  otherSockets: [],
  auditWitness: undefined,
  policy: undefined,
  approval: { command: undefined, notify: undefined, open: defaultOpenTime, timeout: minute },
  helpers: undefined,
  mcp: {
    tools: defaultTools,
    commands: ["*"],
    timeout: 50n * second,
    max_timeout: 10n * minute,
    max_output: 16_000,
    audit: "own" as const,
    clients: {}
  },
  proxyRoutes: [],
  rotationTimeout: 30n * second,
  // joelclaw keeps no more debug events than these.
  sampling: { minLevel: "info" as const, debugPerMinute: 12 },
  otlp: undefined,
  heartbeat: undefined,
  team: undefined,
  trustedProjects: []
}
