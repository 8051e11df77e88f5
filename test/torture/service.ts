/**
 * The service under a real systemd user manager, in its own mount and process namespaces. The
 * name of the home directory has characters that are special in unit files.
 *
 * Needs root, systemd and `unshare`; elsewhere it reports that and tries nothing.
 */
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Scenario, Row } from "./Scenario.ts"
import { installProgram } from "../harness/program.ts"
import { temporaryHome } from "../support/temporary.ts"

/** A user without an entry in /etc/passwd. */
export const uid = 31_337

/** $1: user id, $2: home directory, $3: Node, $4: script to run inside, $5: its argument. */
const namespace = `
mount --make-rprivate / && mount -t tmpfs tmpfs /run || exit 90
mkdir -p /run/systemd/system "/run/user/$1" && chown "$1:$1" "/run/user/$1" && chmod 700 "/run/user/$1"
umount -l /sys/fs/cgroup 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 91
CG="/sys/fs/cgroup/agent-secrets-torture-$$-$(basename "$(dirname "$2")")"
mkdir -p "$CG" && chown "$1:$1" "$CG" "$CG/cgroup.procs" || exit 92
(
  echo "$(exec sh -c 'echo $PPID')" > "$CG/cgroup.procs"
  exec setpriv --reuid "$1" --regid "$1" --clear-groups env -i HOME="$2" PATH=/usr/bin:/bin XDG_RUNTIME_DIR="/run/user/$1" \\
    /usr/lib/systemd/systemd --user --log-target=null
) > /dev/null 2>&1 &
MANAGER=$!
"$3" "$4" "$2" "$5"
STATUS=$?
kill "$MANAGER"
wait "$MANAGER"
find "$CG" -depth -type d -exec rmdir {} ';' 2> /dev/null
exit $STATUS`

export const scenario: Scenario = {
  promise: "under a real systemd the service installs, survives kills and freezes, and uninstalls",
  rounds: 2,
  run: async ({ rounds, log }) => {
    const why = missing()
    if (why !== undefined) return [{ what: `not tried: ${why}`, tried: 0, failed: 0 }]
    const rows = new Map<string, Row>()
    for (let round = 0; round < rounds; round += 1) {
      for (const row of await lifeIn(round % 2 === 1, log)) {
        const before = rows.get(row.what)
        rows.set(row.what, before === undefined ? row : added(before, row))
      }
    }
    return [...rows.values()]
  }
}

const added = (one: Row, other: Row): Row => ({
  what: one.what,
  tried: one.tried + other.tried,
  failed: one.failed + other.failed,
  stats: [one.stats, other.stats].filter((text) => text !== "").join(", ")
})

/** Runs a whole life of the service in a new home directory. */
const lifeIn = async (withSocket: boolean, log: (line: string) => void): Promise<ReadonlyArray<Row>> => {
  const root = temporaryHome()
  fs.chmodSync(root, 0o755)
  // systemd 252 forgets listening sockets with a quote in the path at daemon-reload.
  const home = path.join(root, withSocket ? "a 100% $H <&>" : `a 100% "q" $H 'x' é`)
  const installed = installProgram(path.join(home, ".local"))
  for (const place of [home, path.join(home, ".local"), path.dirname(installed)]) fs.chownSync(place, uid, uid)
  try {
    return await inside(home, withSocket, log)
  } finally {
    fs.rmSync(root, { recursive: true, force: true })
  }
}

const missing = (): string | undefined => {
  if (process.getuid?.() !== 0) return "needs root"
  const tool = ["unshare", "setpriv", "systemctl"].find((name) => spawnSync(name, ["--version"]).error !== undefined)
  if (tool !== undefined) return `there is no ${tool}`
  return fs.existsSync("/usr/lib/systemd/systemd") ? undefined : "there is no systemd"
}

const inside = async (home: string, withSocket: boolean, log: (line: string) => void): Promise<ReadonlyArray<Row>> => {
  const script = path.join(import.meta.dirname, "serviceInside.ts")
  const line = ["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", namespace, "sh"]
  const child = spawn(
    "unshare",
    [...line, String(uid), home, process.execPath, script, withSocket ? "socket" : "plain"],
    {
      stdio: ["ignore", "pipe", "inherit"]
    }
  )
  const rows: Array<Row> = []
  let rest = ""
  child.stdout.on("data", (piece) => {
    const lines = (rest + piece.toString("utf8")).split("\n")
    rest = lines.pop() ?? ""
    for (const one of lines) {
      if (one.startsWith("row ")) rows.push(JSON.parse(one.slice(4)))
      else log(one)
    }
  })
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve))
  if (status === 0) return rows
  return [...rows, { what: `the namespace ended with ${status}`, tried: 1, failed: 1 }]
}
