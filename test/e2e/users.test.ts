/**
 * Several users of one machine: what one of them can put in the place of another's socket, and
 * a daemon that runs as a user of its own.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { startDaemon } from "../harness/daemon.ts"
import { run } from "../harness/program.ts"
import { startStub } from "../support/proxy.ts"
import { temporaryHome } from "../support/temporary.ts"
import { canBeOthers, openPlace, type User } from "../support/users.ts"

const team = 31_100
const person: User = { uid: 31_002, groups: [31_002] }
const attacker: User = { uid: 31_666, groups: [31_666] }

/** A socket of a user, behind which somebody listens; returns all that was sent to it. */
const listenAs = ({ groups: [gid], uid }: User, at: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const sent: Array<string> = []
        const server = net.createServer((socket) => {
          socket.on("error", () => undefined)
          socket.on("data", (bytes) => {
            sent.push(bytes.toString("utf8"))
            const result = {
              lease_id: "l",
              value: "the attacker's value",
              expires_at: "2999-01-01T00:00:00Z",
              success: true
            }
            socket.write(`${JSON.stringify({ jsonrpc: "2.0", id: 1, result })}\n`)
          })
        })
        await new Promise<void>((resolve) => server.listen(at, resolve))
        fs.chownSync(at, uid, gid)
        fs.chmodSync(at, 0o666)
        return { server, sent }
      }),
      ({ server }) => Effect.sync(() => server.close())
    ),
    ({ sent }) => sent
  )

describe.runIf(canBeOthers).concurrent("a socket below a directory of another user", () => {
  it.live("is not served, and is given and believed no value", () =>
    Effect.gen(function* () {
      const { as, directory } = yield* openPlace
      const theirs = directory("theirs", attacker, 0o755)
      const home = directory("theirs/home", person)
      const started = yield* run(["serve"], as(person, home))
      assert.deepStrictEqual([started.status, started.stdout], [73, ""])
      assert.include(started.stderr, `${theirs} belongs to uid ${attacker.uid}, who could put something else there`)
      assert.isFalse(fs.existsSync(path.join(home, ".agent-secrets", "identity.age")))

      fs.renameSync(home, `${home}.away`)
      const state = path.join(directory("theirs/home", attacker, 0o755), ".agent-secrets")
      directory("theirs/home/.agent-secrets", attacker, 0o755)
      const sent = yield* listenAs(attacker, path.join(state, "agent-secrets.sock"))
      for (const args of [
        ["update", "db"],
        ["add", "db"],
        ["lease", "db"],
        ["env", "--secret", "db=DB", "--file", "-"],
        ["exec", "--secret", "db=DB", "--", "env"],
        ["rotate", "db"]
      ]) {
        const ended = yield* run(args, { ...as(person, home), stdin: "the person's value" })
        assert.deepStrictEqual([ended.status, ended.stdout], [7, ""], args.join(" "))
        assert.include(ended.stderr, `${theirs}/home/.agent-secrets/agent-secrets.sock belongs to uid ${attacker.uid}`)
      }
      assert.deepStrictEqual(
        sent.filter((line) => !line.includes('"secrets.status"')),
        []
      )
    })
  )

  it.live("is reported with the directory, its mode and what to run, if others can only write to it", () =>
    Effect.gen(function* () {
      const { as, directory } = yield* openPlace
      const shared = directory("shared", person, 0o770)
      fs.chownSync(shared, person.uid, team)
      const home = directory("shared/home", person)
      const refused = yield* run(["serve"], as(person, home))
      assert.strictEqual(refused.status, 73)
      assert.include(refused.stderr, `${shared} is writable by other users in the group ${team} (mode 770)`)
      assert.include(refused.stderr, `Run: chmod g-w ${shared}`)
      fs.chmodSync(shared, 0o750)
      yield* startDaemon(as(person, home))
      yield* run(["add", "db"], { ...as(person, home), stdin: "v" })
      fs.chmodSync(shared, 0o777)
      const lease = yield* run(["lease", "db", "--json"], as(person, home))
      const { error, fix } = JSON.parse(lease.stdout || lease.stderr)
      assert.deepStrictEqual([lease.status, error.code, fix], [7, "unsafe_socket", `Run: chmod go-w ${shared}`])
    })
  )
})

const service: User = { uid: 31_001, groups: [31_001, team] }
const member: User = { uid: 31_002, groups: [31_002, team] }
const outsider: User = { uid: 31_003, groups: [31_003] }

/** The installation of docs/own-user.md: a daemon of its own user, and two people, one of them in its group. */
const ownUser = Effect.fnUntraced(function* (above?: User, more: object = {}) {
  const { as, directory, root } = yield* openPlace
  const home = directory("service", service)
  const state = directory("service/.agent-secrets", service)
  if (above !== undefined) {
    directory("shared", { uid: 0, groups: [0] }, 0o1777)
    directory("shared/place", above, 0o755)
  }
  const runDirectory = directory(above === undefined ? "run" : "shared/place/run", service, 0o710)
  fs.chownSync(runDirectory, service.uid, team)
  const socket = path.join(runDirectory, "agent-secrets.sock")
  const settings = { socket_path: socket, socket_mode: "0660", socket_group: String(team), ...more }
  fs.writeFileSync(path.join(state, "config.json"), JSON.stringify(settings))
  const daemon = yield* startDaemon(as(service, home))
  const homeOf = (name: string, user: User): string => {
    const made = directory(name, user)
    const file = path.join(directory(`${name}/.agent-secrets`, user), "config.json")
    fs.writeFileSync(file, JSON.stringify({ socket_path: socket }))
    fs.chownSync(file, user.uid, user.groups[0])
    return made
  }
  const [inside, outside] = [as(member, homeOf("member", member)), as(outsider, homeOf("outsider", outsider))]
  return { root, home, state, socket, daemon, inside, outside, asRoot: as({ uid: 0, groups: [0] }, root) }
})

describe.runIf(canBeOthers).concurrent("a daemon that runs as a user of its own", () => {
  it.live("serves the people of its group, and keeps its store, its memory and its rules to itself", () =>
    Effect.gen(function* () {
      const { asRoot, daemon, inside, outside, socket, state } = yield* ownUser()
      const found = fs.statSync(socket)
      assert.deepStrictEqual([found.uid, found.gid, found.mode & 0o777], [service.uid, team, 0o660])
      for (const [args, stdin, stdout] of [
        [["--no-update-check", "status"], undefined, undefined],
        [["--no-update-check", "add", "db", "--value", "v1"], undefined, 'added "db"\n'],
        [["--no-update-check", "update", "db", "--value", "v2"], undefined, 'updated "db"\n'],
        [["add", "key"], "of a pipe", 'added "key"\n'],
        [["list"], undefined, undefined],
        [["lease", "db", "--ttl", "5m", "--client-id", "c"], undefined, "v2"],
        [["exec", "--secret", "key=KEY", "--", "sh", "-c", 'echo "$KEY"; id -u'], undefined, "of a pipe\n31002\n"],
        [["audit", "--tail", "1"], undefined, undefined],
        [["revoke", "--all"], undefined, undefined],
        [["delete", "db", "--force"], undefined, undefined]
      ] as const) {
        const ended = yield* run(args, { ...inside, ...(stdin === undefined ? {} : { stdin }) })
        assert.deepStrictEqual([ended.status, ended.stderr], [0, ""], args.join(" "))
        if (stdout !== undefined) assert.strictEqual(ended.stdout, stdout)
      }
      // The daemon's user would run this.
      const hook = yield* run(["update", "key", "--rotate-via", "cat ~/.agent-secrets/identity.age"], {
        ...inside,
        stdin: "x"
      })
      assert.deepStrictEqual([hook.status, hook.stdout], [5, ""])

      const refused = yield* run(["lease", "key"], outside)
      assert.deepStrictEqual([refused.status, refused.stdout], [7, ""])
      assert.include(refused.stderr, `Join the group ${team}`)
      for (const options of [inside, outside]) {
        const read = `cat '${state}/identity.age' || cat /proc/${daemon.pid}/environ || kill -0 ${daemon.pid}`
        const through = (options.through ?? "").replace(/ -- .*/, ` -- sh -c "${read}"`)
        const attempt = yield* run([], { ...options, through })
        assert.deepStrictEqual([attempt.status === 0, attempt.stdout], [false, ""])
        assert.strictEqual(attempt.stderr.match(/permitted|denied/gi)?.length, 3, attempt.stderr)
      }
      assert.strictEqual((yield* run(["lease", "key", "--socket", socket], asRoot)).stdout, "of a pipe")
    })
  )

  for (const [whose, above] of [
    ["its own", service],
    ["a member's", member]
  ] as const) {
    it.live(`serves them from below ${whose} directory in a shared one, as joelclaw installs it`, () =>
      Effect.gen(function* () {
        const { asRoot, daemon, inside, socket } = yield* ownUser(above)
        assert.strictEqual(daemon.stderr().includes(`belongs to uid ${member.uid}`), above === member)
        assert.strictEqual((yield* run(["add", "db"], { ...inside, stdin: "v" })).status, 0)
        const lease = yield* run(["lease", "db"], inside)
        assert.deepStrictEqual([lease.stdout, lease.stderr], ["v", ""])
        const root = yield* run(["lease", "db", "--socket", socket], asRoot)
        assert.deepStrictEqual([root.status, root.stdout], [7, ""])
        assert.include(root.stderr, `shared/place belongs to uid ${above.uid}`)
      })
    )
  }

  it.live("uses a credential for the people of its group, and no process of theirs can read it", () =>
    Effect.gen(function* () {
      const value = "value-of-the-token-41c2"
      const stub = yield* Effect.acquireRelease(
        Effect.promise(() =>
          startStub(
            (request, response) => response.end(String(request.headers["authorization"] === `Bearer ${value}`)),
            "localhost"
          )
        ),
        ({ close }) => Effect.sync(close)
      )
      const ca = path.join(temporaryHome(), "ca.pem")
      fs.writeFileSync(ca, stub.ca)
      fs.chmodSync(path.dirname(ca), 0o755)
      const upstream = `https://localhost:${stub.port}`
      const { inside, outside } = yield* ownUser(undefined, {
        proxy: { routes: { api: { secret: "token", upstream, private: true, ca } } }
      })
      const added = yield* run(["add", "token", "--proxy-only"], { ...inside, stdin: value })
      assert.deepStrictEqual([added.status, added.stderr], [0, ""])
      const ask = 'curl -sS -H "Authorization: Bearer $API_API_KEY" "$API_BASE_URL/"'
      const worker = `$(pgrep -u ${service.uid} -f proxy-worker | head -1)`
      const look = `cat /proc/${worker}/environ /proc/${worker}/mem 2>&1 | grep -c denied; env; cat /proc/$PPID/environ`
      const used = yield* run(["exec", "--proxy", "api", "--", "sh", "-c", `${ask}; echo; ${look}`], inside)
      assert.deepStrictEqual([used.status, used.stdout.split("\n").slice(0, 2)], [0, ["true", "2"]], used.stderr)
      assert.notInclude(used.stdout + used.stderr, value)
      const leased = yield* run(["lease", "token"], inside)
      assert.deepStrictEqual([leased.status, leased.stdout], [5, ""])
      // Another user reaches neither the daemon nor the socket of the worker.
      const refused = yield* run(["exec", "--proxy", "api", "--", "true"], outside)
      assert.deepStrictEqual([refused.status, refused.stdout], [7, ""])
    })
  )
})
