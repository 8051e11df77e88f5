/**
 * launchd and systemd as we ask them, against stand-ins for their tools; and what
 * their tools print, as it was seen or is documented.
 */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import * as path from "node:path"
import type { ApplyOptions } from "../../src/service/applyPlan.ts"
import { applyPlan, NotServing, readServiceFiles } from "../../src/service/applyPlan.ts"
import { layerLaunchd, parsePrint } from "../../src/service/launchd.ts"
import { runTool } from "../../src/service/runTool.ts"
import type { ServiceFile } from "../../src/service/ServiceOptions.ts"
import { planInstall, planUninstall } from "../../src/service/servicePlan.ts"
import { stamp } from "../../src/service/stamp.ts"
import { Supervisor, type SupervisorVerb } from "../../src/service/Supervisor.ts"
import { layerSystemd, parseShow } from "../../src/service/systemd.ts"
import { launchctl, systemctl, tools } from "../support/tools.ts"

const spawner = Layer.provide(NodeChildProcessSpawner.layer, [NodeFileSystem.layer, NodePath.layer])
const label = "gui/501/dev.agent-secrets.daemon"

const onLaunchd = Effect.fnUntraced(function* (more: Readonly<Record<string, string>> = {}) {
  const standIns = yield* tools({ launchctl, ...more })
  const { environment } = standIns
  const directory = path.join(standIns.directory, "LaunchAgents")
  const context = yield* Layer.build(Layer.provide(layerLaunchd({ uid: 501, directory, environment }), spawner))
  return { ...standIns, supervisor: yield* Effect.provide(Supervisor, context) }
})

const onSystemd = Effect.fnUntraced(function* (more: Readonly<Record<string, string>> = {}) {
  const standIns = yield* tools({ systemctl, ...more })
  const { environment } = standIns
  const directory = path.join(standIns.directory, "units")
  const user = { name: "somebody-who-is-not-there", uid: 987_654 }
  const context = yield* Layer.build(Layer.provide(layerSystemd({ user, directory, environment }), spawner))
  return { ...standIns, supervisor: yield* Effect.provide(Supervisor, context) }
})

type World = Effect.Success<ReturnType<typeof onLaunchd>>

const commandsOf = ({ calls }: World) =>
  calls().filter((call) => !/launchctl print|systemctl (?:--user )?show/.test(call))

const does = (world: World, verb: SupervisorVerb, withSocket = false) =>
  Effect.forEach(world.supervisor.steps(verb, withSocket), world.supervisor.run, { discard: true })

/** Installs a text, as the command does. */
const installs = Effect.fnUntraced(function* (
  world: World,
  text: string,
  healthCheck: ApplyOptions["healthCheck"] = Effect.void
) {
  const { supervisor } = world
  const files: ReadonlyArray<ServiceFile> = [{ path: supervisor.places[0], text: stamp(text, { program: "/x" }) }]
  const found = yield* readServiceFiles(supervisor.places)
  const loaded = (yield* supervisor.state).enabled
  const plan = yield* Effect.fromResult(planInstall({ supervisor, found, loaded, force: true }, files))
  if (plan === undefined) return "unchanged"
  yield* applyPlan(plan, { supervisor, found, loaded, healthCheck })
  return "installed"
})

describe("launchd", () => {
  it.live("is had to load, and a job that leaves slowly is waited for", () =>
    Effect.gen(function* () {
      const world = yield* onLaunchd()
      assert.strictEqual((yield* world.supervisor.state).phase, "unloaded")
      assert.strictEqual(yield* installs(world, "one\n"), "installed")
      assert.deepInclude(yield* world.supervisor.state, { phase: "running", pid: 4242, restarts: 0, enabled: true })
      assert.strictEqual(yield* installs(world, "one\n"), "unchanged")
      // Were it not waited for, this bootstrap would be refused with 37.
      assert.strictEqual(yield* installs(world, "two\n"), "installed")
      const file = world.supervisor.places[0]
      assert.deepStrictEqual(commandsOf(world), [
        `launchctl enable ${label}`,
        `launchctl bootstrap gui/501 ${file}`,
        `launchctl bootout ${label}`,
        `launchctl enable ${label}`,
        `launchctl bootstrap gui/501 ${file}`
      ])
      assert.strictEqual(fs.statSync(file).mode & 0o777, 0o644)
    }).pipe(Effect.scoped)
  )

  it.live("starts a job that is not loaded and one that is, and stops one that is not", () =>
    Effect.gen(function* () {
      const world = yield* onLaunchd()
      yield* installs(world, "one\n")
      yield* does(world, "stop")
      yield* does(world, "stop")
      yield* does(world, "start")
      yield* does(world, "start")
      yield* does(world, "restart")
      assert.deepStrictEqual(
        commandsOf(world)
          .slice(2)
          .map((call) => call.split(" ").slice(1, 3).join(" ")),
        [
          `bootout ${label}`,
          `bootout ${label}`,
          `enable ${label}`,
          "bootstrap gui/501",
          `kickstart ${label}`,
          `enable ${label}`,
          "bootstrap gui/501",
          `kickstart ${label}`,
          "kickstart -k"
        ]
      )
    }).pipe(Effect.scoped)
  )

  it.live("that refuses a new file gets the old one back, loaded", () =>
    Effect.gen(function* () {
      const world = yield* onLaunchd()
      yield* installs(world, "one\n")
      const file = world.supervisor.places[0]
      const before = fs.readFileSync(file, "utf8")
      // It refuses once: the second file, and not the first when that comes back.
      const script = path.join(world.directory, "launchctl")
      fs.writeFileSync(
        script,
        fs.readFileSync(script, "utf8").replace(`-e "$DIR/refuse"`, `-e "$DIR/refuse" ] && rm "$DIR/refuse"; [ $? = 0`)
      )
      fs.writeFileSync(path.join(world.directory, "refuse"), "")
      const error = yield* Effect.flip(installs(world, "two\n"))
      assert.include(error.message, "Bootstrap failed: 5: Input/output error")
      assert.include(error.message, "everything was put back as it was")
      assert.include("fix" in error ? error.fix : "", "Login Items")
      assert.strictEqual(fs.readFileSync(file, "utf8"), before)
      assert.strictEqual(fs.readFileSync(path.join(world.directory, "loaded"), "utf8"), before)
    }).pipe(Effect.scoped)
  )

  it("is understood from what it prints", () => {
    const print = (lines: ReadonlyArray<string>) =>
      parsePrint(["gui/501/x = {", ...lines.map((line) => `\t${line}`), "}"].join("\n"))
    const running = [
      "state = running",
      "pid = 12",
      "runs = 3",
      "last exit code = 78: EX_CONFIG",
      "endpoints = {",
      "\tstate = active",
      "}"
    ]
    assert.deepInclude(print(running), { phase: "running", pid: 12, restarts: 2, lastEnd: { status: 78 } })
    assert.deepInclude(print(["state = spawn scheduled", "runs = 9", "last exit code = 65"]), {
      phase: "failing",
      pid: undefined,
      lastEnd: { status: 65 }
    })
    assert.deepInclude(print(["state = not running", "runs = 2", "last terminating signal = Killed: 9"]), {
      phase: "failing",
      lastEnd: { signal: "Killed: 9" }
    })
    assert.deepInclude(print(["state = not running", "runs = 0", "last exit code = (never exited)"]), {
      phase: "starting"
    })
    assert.deepInclude(parsePrint("something else entirely"), {
      phase: "starting",
      pid: undefined,
      restarts: undefined
    })
  })

  it.live("tells the home directory of a user", () =>
    Effect.gen(function* () {
      const { supervisor } = yield* onLaunchd({
        dscacheutil: `[ "$5" = joel ] && printf 'name: joel\\npassword: *\\ndir: /Users/joel\\n'; true`
      })
      assert.strictEqual(yield* supervisor.homeOf("joel"), "/Users/joel")
      assert.include((yield* Effect.flip(supervisor.homeOf("nobody-here"))).message, "there is no user nobody-here")
    }).pipe(Effect.scoped)
  )

  it.live("that is not there is told, with what goes without it", () =>
    Effect.gen(function* () {
      const { environment } = yield* tools({})
      const context = yield* Layer.build(
        Layer.provide(layerLaunchd({ uid: 501, directory: "/x", environment }), spawner)
      )
      const supervisor = yield* Effect.provide(Supervisor, context)
      const error = yield* Effect.flip(supervisor.state)
      assert.include(error.message, "there is no launchctl on the PATH")
      assert.include(error.fix, "secrets serve")
    }).pipe(Effect.scoped)
  )
})

describe("systemd", () => {
  it.live("is had to read, enable and start, and to take it all back", () =>
    Effect.gen(function* () {
      const world = yield* onSystemd()
      assert.strictEqual(yield* installs(world, "one\n"), "installed")
      assert.strictEqual(yield* installs(world, "one\n"), "unchanged")
      const { supervisor } = world
      const found = yield* readServiceFiles(supervisor.places)
      const plan = yield* Effect.fromResult(planUninstall({ supervisor, found, loaded: true, force: false }))
      assert.isDefined(plan)
      if (plan !== undefined) yield* applyPlan(plan, { supervisor, found, loaded: true, healthCheck: Effect.void })
      assert.isFalse(fs.existsSync(supervisor.places[0]))
      const unit = "dev.agent-secrets.service"
      assert.deepStrictEqual(commandsOf(world), [
        "systemctl --user daemon-reload",
        `systemctl --user enable ${unit}`,
        `systemctl --user start ${unit}`,
        `systemctl --user disable --now ${unit}`,
        `systemctl --user reset-failed ${unit}`,
        "systemctl --user daemon-reload"
      ])
    }).pipe(Effect.scoped)
  )

  it.live("starts a socket before its service, and stops both", () =>
    Effect.gen(function* () {
      const world = yield* onSystemd()
      yield* does(world, "start", true)
      yield* does(world, "stop", true)
      assert.deepStrictEqual(
        commandsOf(world).map((call) => call.replace("systemctl --user ", "")),
        [
          "reset-failed dev.agent-secrets.service",
          "start dev.agent-secrets.socket",
          "start dev.agent-secrets.service",
          "stop dev.agent-secrets.socket dev.agent-secrets.service"
        ]
      )
    }).pipe(Effect.scoped)
  )

  it.live("that starts what does not answer leaves nothing behind, and the reason is told", () =>
    Effect.gen(function* () {
      const world = yield* onSystemd()
      fs.writeFileSync(
        path.join(world.directory, "show"),
        "LoadState=loaded\nActiveState=failed\nExecMainCode=1\nExecMainStatus=78\n"
      )
      const healthCheck = Effect.fail(new NotServing({ message: "nobody answers", fix: "" }))
      const error = yield* Effect.flip(installs(world, "one\n", healthCheck))
      assert.strictEqual(error.message, "nobody answers; everything was put back as it was")
      assert.isFalse(fs.existsSync(world.supervisor.places[0]))
      assert.deepStrictEqual(
        commandsOf(world)
          .slice(3)
          .map((call) => call.split(" ")[2]),
        ["disable", "reset-failed", "daemon-reload"]
      )
    }).pipe(Effect.scoped)
  )

  it.live("that cannot be put back is told as well", () =>
    Effect.gen(function* () {
      const world = yield* onSystemd()
      fs.writeFileSync(path.join(world.directory, "refuse"), "")
      const script = path.join(world.directory, "systemctl")
      fs.writeFileSync(
        script,
        fs.readFileSync(script, "utf8").replace("disable)", "disable) echo no disk >&2; exit 4;;\n  never)")
      )
      const error = yield* Effect.flip(installs(world, "one\n"))
      assert.include(error.message, "failed because the control process exited")
      assert.include(error.message, "and putting it back failed: systemctl --user disable")
    }).pipe(Effect.scoped)
  )

  it.live("does not lose a copy that was kept before", () =>
    Effect.gen(function* () {
      const world = yield* onSystemd()
      const file = world.supervisor.places[0]
      for (const mine of ["mine\n", "mine too\n"]) {
        yield* installs(world, "one\n")
        fs.writeFileSync(file, mine)
        yield* installs(world, "one\n")
      }
      assert.strictEqual(fs.readFileSync(`${file}.bak`, "utf8"), "mine\n")
      assert.strictEqual(fs.readFileSync(`${file}.bak.1`, "utf8"), "mine too\n")
    }).pipe(Effect.scoped)
  )

  it("is understood from what it shows", () => {
    const show = (text: string) => parseShow(text.replaceAll(" ", "\n"))
    assert.deepInclude(
      show(
        "LoadState=loaded UnitFileState=enabled ActiveState=active SubState=running MainPID=88 NRestarts=2 ExecMainCode=0 NeedDaemonReload=yes"
      ),
      { phase: "running", enabled: true, pid: 88, restarts: 2, lastEnd: undefined, outdated: true }
    )
    assert.deepInclude(
      show("LoadState=loaded ActiveState=activating SubState=auto-restart MainPID=0 ExecMainCode=2 ExecMainStatus=9"),
      {
        phase: "failing",
        pid: undefined,
        lastEnd: { signal: "SIGKILL" }
      }
    )
    assert.deepInclude(show("LoadState=loaded ActiveState=activating SubState=start MainPID=8"), { phase: "starting" })
    assert.deepInclude(show("LoadState=loaded ActiveState=failed ExecMainCode=1 ExecMainStatus=65"), {
      phase: "failed",
      lastEnd: { status: 65 }
    })
    assert.deepInclude(show("LoadState=loaded ActiveState=inactive"), { phase: "stopped", enabled: false })
    assert.deepInclude(show("LoadState=not-found ActiveState=inactive"), { phase: "unloaded" })
  })

  it.live("that answers nobody is told, with what helps", () =>
    Effect.gen(function* () {
      const { supervisor } = yield* onSystemd({
        systemctl: "echo 'Failed to connect to bus: No medium found' >&2; exit 1"
      })
      const error = yield* Effect.flip(supervisor.state)
      assert.include(error.message, "Failed to connect to bus")
      assert.include(error.fix, "log in directly")
    }).pipe(Effect.scoped)
  )

  it.live("tells the home directory of a user", () =>
    Effect.gen(function* () {
      const { supervisor } = yield* onSystemd({
        getent: `[ "$2" = agent ] && echo agent:x:99:99:An agent:/var/lib/agent:/bin/false || exit 2`
      })
      assert.strictEqual(yield* supervisor.homeOf("agent"), "/var/lib/agent")
      assert.include((yield* Effect.flip(supervisor.homeOf("nobody-here"))).message, "there is no user nobody-here")
    }).pipe(Effect.scoped)
  )
})

describe("a tool", () => {
  it.live("is given neither our NODE_OPTIONS nor an input, and keeps its exit status", () =>
    Effect.gen(function* () {
      const { environment } = yield* tools({ odd: `cat; echo "[$NODE_OPTIONS][$LC_ALL]"; echo why >&2; exit 7` })
      const said = yield* Effect.provide(runTool(["odd"], { ...environment, NODE_OPTIONS: "--inspect" }), spawner)
      assert.deepStrictEqual(said, { status: 7, stdout: "[][C]\n", stderr: "why\n" })
    }).pipe(Effect.scoped)
  )
})
