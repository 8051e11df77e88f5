/**
 * The server is in a network namespace of its own and asks for a client certificate, or for a
 * password over TLS. A machine serves with the right files, and with no others. Needs root,
 * `ip` and `openssl`.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { pause } from "../../harness/program.ts"
import { temporaryHome } from "../../support/temporary.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { judge } from "./judge.ts"
import { type Machine, startWork, type Team, type TeamOptions, withTeam } from "./Machine.ts"

const quiet = { stdio: "ignore" } as const
const ip = (...args: ReadonlyArray<string>) => void execFileSync("ip", [...args], quiet)
const [machineSpace, serverSpace] = [`team-m-${process.pid}`, `team-s-${process.pid}`]
const address = "192.0.2.1"

/** Two namespaces with one link between them, and nothing else. */
const makeLink = (): void => {
  for (const name of [machineSpace, serverSpace]) {
    ip("netns", "add", name)
    ip("-n", name, "link", "set", "lo", "up")
  }
  ip("-n", serverSpace, "link", "add", "team0", "type", "veth", "peer", "name", "team0", "netns", machineSpace)
  for (const [name, end] of [
    [serverSpace, address],
    [machineSpace, "192.0.2.2"]
  ] as const) {
    ip("-n", name, "address", "add", `${end}/24`, "dev", "team0")
    ip("-n", name, "link", "set", "team0", "up")
  }
}
const removeLink = (): void => {
  for (const name of [machineSpace, serverSpace]) ip("netns", "del", name)
}

/** An authority, and the certificates that it signed. */
class Authority {
  readonly directory = temporaryHome()

  constructor() {
    this.openssl(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=made-up authority",
      "-keyout",
      this.file("ca.key"),
      "-out",
      this.file("ca.pem")
    )
  }

  file(name: string): string {
    return path.join(this.directory, name)
  }

  private openssl(...args: ReadonlyArray<string>): void {
    execFileSync("openssl", [...args], quiet)
  }

  /** Makes NAME.pem and NAME.key, for the address of a server if one is given. */
  sign(name: string, subject = name, server?: string): void {
    this.openssl(
      "req",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-subj",
      `/CN=${subject}`,
      "-keyout",
      this.file(`${name}.key`),
      "-out",
      this.file(`${name}.csr`)
    )
    fs.writeFileSync(this.file("extensions"), server === undefined ? "" : `subjectAltName=${server}\n`)
    this.openssl(
      "x509",
      "-req",
      "-in",
      this.file(`${name}.csr`),
      "-CA",
      this.file("ca.pem"),
      "-CAkey",
      this.file("ca.key"),
      "-CAcreateserial",
      "-days",
      "2",
      "-extfile",
      this.file("extensions"),
      "-out",
      this.file(`${name}.pem`)
    )
    fs.chmodSync(this.file(`${name}.key`), 0o600)
  }
}

/** Has a machine use other settings, and returns what it answers then. */
const attempt = async (machine: Machine, section: object): Promise<string> => {
  const before = machine.section
  machine.configure(section)
  await machine.stop()
  try {
    await machine.serve()
    await pause(300)
    const { error, id } = await machine.acquire("c1")
    return id === undefined ? (error ?? "no answer") : "served"
  } catch (error) {
    return String(error)
  } finally {
    machine.section = before
  }
}

const judgeAccess = async (team: Team, own: Authority, other: Authority, options: ScenarioOptions) => {
  const [machine] = team.machines as [Machine]
  const url = `postgres://as_m1@${address}/team?sslmode=verify-full`
  const certificate = { url, ca: own.file("ca.pem"), cert: own.file("as_m1.pem"), key: own.file("as_m1.key") }
  const { password_file } = machine.section
  const withPassword = {
    ...certificate,
    url: url.replace("/team", ":5432/team"),
    password_file,
    cert: undefined,
    key: undefined
  }
  const wrongServer = "postgres://as_m1@192.0.2.3/team?sslmode=verify-full"
  const loose = own.file("loose.key")
  fs.copyFileSync(own.file("as_m1.key"), loose)
  fs.chmodSync(loose, 0o644)
  const cases: ReadonlyArray<readonly [string, object, RegExp]> = [
    ["a client certificate", certificate, /^served$/],
    [
      "another authority",
      { ...certificate, ca: other.file("ca.pem") },
      /self-signed certificate|unable to verify|unable to get/
    ],
    [
      "the public authorities",
      { ...certificate, ca: undefined },
      /self-signed certificate|unable to verify|unable to get/
    ],
    ["a server of another name", { ...certificate, url: wrongServer }, /does not match certificate's altnames/],
    [
      "the certificate of another machine",
      { ...certificate, cert: own.file("as_m2.pem"), key: own.file("as_m2.key") },
      /certificate authentication failed/
    ],
    [
      "a certificate of another authority",
      { ...certificate, cert: other.file("as_m1.pem"), key: other.file("as_m1.key") },
      /alert|unknown ca|certificate|closed|ECONNRESET/
    ],
    ["no certificate", withPassword, /certificate|pg_hba/],
    ["a key that others can read", { ...certificate, key: loose }, /can be read by others/],
    ["no TLS", { ...certificate, url: url.replace(/\?.*/, "") }, /must have sslmode=verify-full/],
    ["a client certificate again", certificate, /^served$/]
  ]
  let failed = 0
  for (const [what, section, expected] of cases) {
    const found = await attempt(machine, section)
    if (expected.test(found)) continue
    failed += 1
    options.log(`with ${what}: ${found}`)
  }
  machine.configure(certificate)
  await machine.stop()
  await machine.serve()
  await machine.untilServed()
  const stopWork = startWork([machine], options.random)
  const late: Array<number> = []
  for (let round = 0; round < 3; round += 1) {
    await pause(300)
    ip("-n", serverSpace, "link", "set", "team0", "down")
    await pause(2500)
    ip("-n", serverSpace, "link", "set", "team0", "up")
    const healed = performance.now()
    await machine.untilServed()
    late.push(performance.now() - healed)
  }
  await stopWork()
  return [
    { what: "connections that were judged wrongly", tried: cases.length, failed },
    {
      what: "late returns after the link of the server was down",
      tried: late.length,
      failed: late.filter((millis) => millis > 1500).length,
      stats: late.map((millis) => `${Math.round(millis)} ms`).join(", ")
    }
  ]
}

export const access = async (options: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  try {
    execFileSync("openssl", ["version"], quiet)
    makeLink()
    ip("-n", serverSpace, "address", "add", "192.0.2.3/24", "dev", "team0")
  } catch {
    options.log("left out: TLS between two network namespaces, because there is no ip netns or no openssl here")
    return []
  }
  const [own, other] = [new Authority(), new Authority()]
  try {
    own.sign("server", "server", `IP:${address}`)
    for (const name of ["as_m1", "as_m2"]) own.sign(name)
    other.sign("as_m1")
    const teamOptions: TeamOptions = {
      machines: 2,
      within: ["ip", "netns", "exec", serverSpace],
      access: ["hostssl all all all cert clientcert=verify-full"],
      prepare: (data) => {
        for (const name of ["ca.pem", "server.pem", "server.key"]) {
          fs.copyFileSync(own.file(name), path.join(data, "..", name))
          fs.chmodSync(path.join(data, "..", name), 0o600)
          fs.chownSync(path.join(data, "..", name), 65_534, 65_534)
        }
      },
      settings: [
        `listen_addresses = '${address},192.0.2.3'`,
        "ssl = on",
        "ssl_ca_file = '../ca.pem'",
        "ssl_cert_file = '../server.pem'",
        "ssl_key_file = '../server.key'"
      ],
      onMachine: (machine) => {
        machine.through = `exec ip netns exec ${machineSpace} "$@"`
      }
    }
    return await withTeam(teamOptions, async (team) => {
      const rows = await judgeAccess(team, own, other, options)
      return [...rows, ...(await judge(team, options.log))]
    })
  } finally {
    removeLink()
    for (const { directory } of [own, other]) fs.rmSync(directory, { recursive: true, force: true })
  }
}
