/**
 * The rendered files keep every path: checked with a property list parser and a unit parser.
 */
import { assert, describe, it } from "@effect/vitest"
import plist from "plist"
import type { ServiceOptions } from "../../src/service/ServiceOptions.ts"
import { commandLine } from "../../src/service/ServiceOptions.ts"
import { launchdPlist } from "../../src/service/launchdPlist.ts"
import { readStamp, stamp } from "../../src/service/ServiceFile.ts"
import { systemdService, systemdSocket } from "../../src/service/systemdUnits.ts"
import { settingsOf, withoutSpecifiers, wordsOf } from "../support/unitFile.ts"

/** Strings that are special to some parser. */
const pieces = [`"`, "'", "\\", "%", "$", "--", " ", "%h", "${x}", ";", "#", "<", ">", "&", "&amp;", "]]>"].concat([
  "=",
  ":",
  ",",
  "@",
  "!",
  "*",
  "~",
  "é",
  "plain"
])
const roots = pieces.flatMap((one) => pieces.slice(0, 6).map((other) => `/a${one}${other}b${other}${one}c`))

const optionsWith = (root: string): ServiceOptions => ({
  runtime: `${root}/node`,
  program: `${root}/secrets`,
  arguments: ["--config", `${root}/config.json`],
  home: root,
  log: `${root}/log`,
  account: { user: "agent", group: undefined },
  writable: [`${root}/state`, `${root}/run`],
  socket: { path: `${root}/s.sock`, group: undefined }
})

describe("the property list", () => {
  it("keeps every path", () => {
    for (const root of roots) {
      const options = optionsWith(root)
      const job: any = plist.parse(launchdPlist(options))
      assert.deepStrictEqual(job.ProgramArguments, [...commandLine(options)])
      assert.deepStrictEqual([job.EnvironmentVariables.HOME, job.StandardErrorPath], [root, `${root}/log`])
    }
  })

  it("is well-formed with its stamp, which contains no two dashes", () => {
    for (const root of roots) {
      const choices = { program: `${root}/--x`, socket: `${root}-->` }
      const text = stamp(launchdPlist(optionsWith(root)), choices)
      assert.deepStrictEqual(readStamp(text), { choices, edited: false })
      assert.notMatch(/<!-- rendered(.*) -->/.exec(text)?.[1] ?? "--", /--/)
      assert.strictEqual((plist.parse(text) as any).EnvironmentVariables.HOME, root)
    }
  })

  it("runs the binary without Node", () => {
    const job: any = plist.parse(launchdPlist({ ...optionsWith("/x"), runtime: undefined }))
    assert.deepStrictEqual(job.ProgramArguments, ["/x/secrets", "serve", "--config", "/x/config.json"])
  })
})

describe("the units", () => {
  it("keep every path", () => {
    for (const root of roots) {
      const options = optionsWith(root)
      const { Service } = settingsOf(systemdService(options))
      const command = Service?.["ExecStart"] ?? ""
      assert.strictEqual(command.charAt(0), ":")
      assert.deepStrictEqual(wordsOf(command.slice(1)), [...commandLine(options)])
      assert.strictEqual(wordsOf(Service?.["Environment"] ?? "")[0], `HOME=${root}`)
      assert.deepStrictEqual(wordsOf(Service?.["ReadWritePaths"] ?? "", false), [`${root}/state`, `${root}/run`])
      const { Socket } = settingsOf(systemdSocket(options, { path: `${root}/s.sock`, group: undefined }))
      assert.strictEqual(withoutSpecifiers(Socket?.["ListenStream"] ?? ""), `${root}/s.sock`)
    }
  })

  it("give a group access to the socket if configured", () => {
    const options = optionsWith("/x")
    const { Socket } = settingsOf(systemdSocket(options, { path: "/x/s.sock", group: "people" }))
    assert.deepInclude(Socket, {
      SocketMode: "0660",
      SocketGroup: "people",
      SocketUser: "agent",
      DirectoryMode: "0710"
    })
  })

  it("keep /tmp shared if the daemon writes to it", () => {
    const { Service } = settingsOf(systemdService({ ...optionsWith("/x"), writable: ["/tmp/state"] }))
    assert.notProperty(Service, "PrivateTmp")
    assert.propertyVal(settingsOf(systemdService(optionsWith("/x")))["Service"], "PrivateTmp", "yes")
  })
})

describe("the stamp of a file", () => {
  const choices = { program: "/x/secrets", config: "/x/config.json", socketActivation: true }
  const text = stamp("[Unit]\nDescription=x\n", choices)

  it("returns the choices and that the file is unedited", () => {
    assert.deepStrictEqual(readStamp(text), { choices, edited: false })
  })

  it("detects an edit anywhere in the file", () => {
    assert.strictEqual(readStamp(text.replace("=x", "=y"))?.edited, true)
    assert.strictEqual(readStamp(`${text}#\n`)?.edited, true)
    assert.strictEqual(readStamp(`#\n${text}`)?.edited, true)
  })

  it("is not found in a foreign file", () => {
    for (const other of [
      "",
      "[Unit]\n",
      "# rendered by agent-secrets from {}, sha256 00\n",
      text.replace("/x/secrets", '"')
    ]) {
      assert.isUndefined(readStamp(other))
    }
  })
})
