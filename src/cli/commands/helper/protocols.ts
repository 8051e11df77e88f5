/**
 * The protocols of `secrets helper`, by name. Each is loaded on demand: other programs wait for a helper.
 */
import type { HelperProtocol } from "./Protocol.ts"

export const protocols = {
  print: async () => (await import("./protocols/print.ts")).print,
  git: async () => (await import("./protocols/git.ts")).git,
  openclaw: async () => (await import("./protocols/openclaw.ts")).openclaw,
  aws: async () => (await import("./protocols/aws.ts")).aws,
  docker: async () => (await import("./protocols/docker.ts")).docker,
  kubernetes: async () => (await import("./protocols/kubernetes.ts")).kubernetes,
  askpass: async () => (await import("./protocols/askpass.ts")).askpass,
  terraform: async () => (await import("./protocols/terraform.ts")).terraform,
  cargo: async () => (await import("./protocols/cargo.ts")).cargo,
  pip: async () => (await import("./protocols/pip.ts")).pip,
  headers: async () => (await import("./protocols/headers.ts")).headers
} as const satisfies Readonly<Record<string, () => Promise<HelperProtocol>>>

export type ProtocolName = keyof typeof protocols

export const isProtocolName = (text: string): text is ProtocolName => Object.hasOwn(protocols, text)
