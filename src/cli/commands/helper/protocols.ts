/**
 * The protocols of `secrets helper`, by name.
 */
import type { HelperProtocol } from "./Protocol.ts"
import { askpass } from "./protocols/askpass.ts"
import { aws } from "./protocols/aws.ts"
import { cargo } from "./protocols/cargo.ts"
import { docker } from "./protocols/docker.ts"
import { git } from "./protocols/git.ts"
import { headers } from "./protocols/headers.ts"
import { kubernetes } from "./protocols/kubernetes.ts"
import { openclaw } from "./protocols/openclaw.ts"
import { pip } from "./protocols/pip.ts"
import { print } from "./protocols/print.ts"
import { terraform } from "./protocols/terraform.ts"

export const protocols = {
  print,
  git,
  openclaw,
  aws,
  docker,
  kubernetes,
  askpass,
  terraform,
  cargo,
  pip,
  headers
} as const satisfies Readonly<Record<string, HelperProtocol>>

export type ProtocolName = keyof typeof protocols

export const isProtocolName = (text: string): text is ProtocolName => Object.hasOwn(protocols, text)
