/**
 * A sample event, numbered in its metadata.
 */
import type { OtelEvent } from "../../src/otel/OtelEvent.ts"

export const event = (n: number, level: OtelEvent["level"] = "info"): OtelEvent => ({
  action: "lease.replaced",
  component: "lease",
  level,
  success: true,
  metadata: { n }
})
