/**
 * The steps of `macCheck`: shell lines that put every question about launchd and macOS whose
 * answer this project has only read. A step without an expectation is asked for the record alone.
 *
 * The lines run in one directory, with these variables: TARGET, DOMAIN and PLIST of the job, LOG,
 * PROGRAM, the installed entry of `secrets`, and CHECKOUT. `secrets` is a function that runs it.
 */

export interface MacStep {
  readonly name: string
  readonly line: string
  /** The exit statuses that are right; all are if undefined. */
  readonly status?: ReadonlyArray<number>
  /** What standard output and error must match. */
  readonly output?: RegExp
  /** `system` steps change accounts and need sudo without a password. */
  readonly part: "user" | "system"
}

const untilAnswered = `n=0; until secrets status >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 300 ] || exit 1; sleep 0.1; done; echo "after $n tenths"`

const step = (name: string, line: string, more: Partial<MacStep> = {}): MacStep => ({
  name,
  line,
  part: "user",
  ...more
})
const works = { status: [0] }

/** The machine, and what launchctl answers without a job. */
const before: ReadonlyArray<MacStep> = [
  step("the system", "uname -a; sw_vers; id; node -v; launchctl version"),
  step("its limits", "ulimit -n; sysctl kern.maxfiles kern.maxfilesperproc kern.ipc.somaxconn"),
  step("its names", "hostname; for n in HostName LocalHostName ComputerName; do scutil --get $n; done"),
  step("HOME under sudo", "sudo -n printenv HOME; sudo -n -H printenv HOME"),
  step(
    "the property lists of the checkout",
    'plutil -lint "$CHECKOUT"/launchd/*.plist "$CHECKOUT"/launchd/system/*.plist',
    {
      ...works,
      output: /: OK\n/
    }
  ),
  step("print, unknown label", 'launchctl print "$TARGET"', { status: [113] }),
  step("print, no domain", "launchctl print gui/99999/dev.agent-secrets.daemon", { status: [112, 113, 125] }),
  step("bootout, unknown label", 'launchctl bootout "$TARGET"', { status: [3, 113] }),
  step("bootout, unknown label, by its file", 'launchctl bootout "$DOMAIN" "$PLIST"'),
  step("kickstart, unknown label", 'launchctl kickstart "$TARGET"', { status: [113] }),
  step("status, not installed", "secrets daemon status", { status: [4] })
]

/** A life of the service of a user, by its own commands. */
const life: ReadonlyArray<MacStep> = [
  step("install", "secrets daemon install", { ...works, output: /installed for launchd, running as process \d+/ }),
  step("its property list", 'plutil -lint "$PLIST" && plutil -p "$PLIST"', works),
  step("status, running", "secrets daemon status", works),
  step("print, running", 'launchctl print "$TARGET"', { ...works, output: /^\tstate = running$/m }),
  step("install again", "secrets daemon install", { ...works, output: /unchanged/ }),
  step(
    "install five times, each with another setting",
    `for n in 1 2 3 4 5; do echo '{}' > "config-$n.json"; time secrets daemon install --config "$PWD/config-$n.json" || exit 1; done; secrets daemon install`,
    works
  ),
  step("bootout --wait", 'launchctl bootout --wait "$TARGET"'),
  step("start, after any other step", "secrets daemon start", works),
  step("start, running", "secrets daemon start", works),
  step("kickstart, running", 'launchctl kickstart "$TARGET"', { status: [37] }),
  step("bootstrap, loaded", 'launchctl bootstrap "$DOMAIN" "$PLIST"', { status: [5, 17, 37] }),
  step("stop", "secrets daemon stop", works),
  step("status, stopped", "secrets daemon status", { status: [3] }),
  step("start, at once after the stop", "time secrets daemon start", works),
  step(
    "stop and start, five times",
    "for n in 1 2 3 4 5; do secrets daemon stop && secrets daemon start || exit 1; done",
    works
  ),
  step("restart", "time secrets daemon restart", works),
  step(
    "kickstart -k",
    `launchctl kickstart -k "$TARGET"; echo "status $?"; ${untilAnswered}; secrets audit --tail 3`,
    works
  ),
  step("kill -9", `kill -9 "$(launchctl print "$TARGET" | sed -n 's/^.pid = //p')"; ${untilAnswered}`, works),
  step("print, after that", 'launchctl print "$TARGET"', works),
  step(
    "the program is gone",
    `dir=$(dirname "$PROGRAM"); cp "$PROGRAM" "$dir/away.mjs"; rm "$PROGRAM"; launchctl kickstart -k "$TARGET"; sleep 12; launchctl print "$TARGET"; PROGRAM=$dir/away.mjs; secrets daemon status; s=$?; mv "$dir/away.mjs" "$dir/secrets.mjs"; exit $s`,
    { output: /missing/ }
  ),
  step("the program is back", `launchctl kickstart "$TARGET"; ${untilAnswered}`, works),
  step(
    "bootout and bootstrap by hand: how long is it refused",
    `launchctl bootout "$TARGET"; echo "bootout: $?"; n=0; until launchctl bootstrap "$DOMAIN" "$PLIST"; do echo "bootstrap after $n quarters: $?"; launchctl print "$TARGET" | head -n 1; n=$((n + 1)); [ $n -lt 80 ] || exit 1; sleep 0.25; done; echo "loaded after $n quarters"`,
    works
  ),
  step("print-disabled", 'launchctl print-disabled "$DOMAIN" | grep agent-secrets'),
  step(
    "bootstrap, disabled",
    `launchctl bootout "$TARGET"; launchctl disable "$TARGET"; sleep 6; launchctl bootstrap "$DOMAIN" "$PLIST"; s=$?; launchctl print-disabled "$DOMAIN" | grep agent-secrets; exit $s`,
    { status: [5, 119] }
  ),
  step("start, disabled before", `secrets daemon start && ${untilAnswered}`, works)
]

/** What the daemon and the commands do on this system. */
const use: ReadonlyArray<MacStep> = [
  step("add and lease", "printf made-up | secrets add db && time secrets lease db", { ...works, output: /made-up/ }),
  step(
    "add from a named pipe",
    "mkfifo fifo; printf made-up > fifo & secrets add piped < fifo && secrets lease piped",
    works
  ),
  step("exec --mask", "time secrets exec --mask --secret db -- sh -c 'echo before $DB after'", {
    ...works,
    output: /before (?!made-up).* after/
  }),
  step(
    "600 connections at once",
    'node "$CHECKOUT/scripts/macProbes.ts" connections 600 "$HOME/.agent-secrets/agent-secrets.sock"',
    works
  ),
  step("a thousand flushes", 'node "$CHECKOUT/scripts/macProbes.ts" flushes 1000 .', works),
  step(
    "is the log appended to after it was truncated",
    ': > "$LOG"; secrets daemon restart || { sleep 30; secrets daemon restart; }; ls -l "$LOG"; head -c 64 "$LOG" | od -c',
    { ...works, output: /^0000000 +t +i +m +e/m }
  ),
  step("the log of the service", "secrets daemon logs -n 50", works)
]

const shared = "/Users/Shared/agent-secrets-check"
const own = `sudo -n -H "$(command -v node)" ${shared}/program/secrets.mjs`
const asAccount = `sudo -n -H -u agentcheck "$(command -v node)" ${shared}/program/secrets.mjs`
const systemConfig = JSON.stringify({
  socket_path: `${shared}/run/agent-secrets.sock`,
  socket_mode: "0660",
  socket_group: "agent-secrets-check"
})

/** A service of the system, under an account of its own, with a socket for a group. */
const system = [
  step("a group", "sudo -n dseditgroup -o create agent-secrets-check", works),
  step("an account", "sudo -n sysadminctl -addUser agentcheck -home /Users/agentcheck -shell /usr/bin/false", works),
  step(
    "both users in the group",
    'for u in agentcheck "$(id -un)"; do sudo -n dseditgroup -o edit -a "$u" -t user agent-secrets-check || exit 1; done',
    works
  ),
  step("its home directory", "sudo -n createhomedir -c -u agentcheck; sudo -n ls -ld /Users/agentcheck"),
  step(
    "a copy of the program, and a directory for the socket",
    `sudo -n mkdir -p ${shared} && sudo -n cp -R "$(dirname "$PROGRAM")" ${shared}/program && sudo -n chmod -R a+rX ${shared} && sudo -n install -d -o agentcheck -g agent-secrets-check -m 0710 ${shared}/run`,
    works
  ),
  step(
    "init with the HOME of another",
    `sudo -n -u agentcheck env HOME="$HOME" "$(command -v node)" ${shared}/program/secrets.mjs init`,
    { status: [7, 73, 78] }
  ),
  step("init as the account", `${asAccount} init`, works),
  step(
    "its settings",
    `echo '${systemConfig}' | sudo -n -H -u agentcheck /bin/sh -c 'cat > ~/.agent-secrets/config.json'`,
    works
  ),
  step("limits of the system before", "sysctl kern.maxfiles kern.maxfilesperproc"),
  step(
    "install --system",
    `${own} daemon install --system --user agentcheck --group agent-secrets-check --config /Users/agentcheck/.agent-secrets/config.json`,
    works
  ),
  step("print, system", "sudo -n launchctl print system/dev.agent-secrets.daemon", works),
  step("its files", `sudo -n ls -lR /Users/agentcheck/.agent-secrets ${shared}/run`, works),
  step(
    "lease through the socket of the group",
    `printf made-up | sudo -n -u "$(id -un)" "$(command -v node)" "$PROGRAM" add shared --socket ${shared}/run/agent-secrets.sock && sudo -n -u "$(id -un)" "$(command -v node)" "$PROGRAM" lease shared --socket ${shared}/run/agent-secrets.sock`,
    { ...works, output: /made-up/ }
  ),
  step("limits of the system afterwards", "sysctl kern.maxfiles kern.maxfilesperproc"),
  step("uninstall --system", `${own} daemon uninstall --system`, works),
  step(
    "the account is removed",
    `sudo -n sysadminctl -deleteUser agentcheck; sudo -n dseditgroup -o delete agent-secrets-check; sudo -n rm -rf ${shared}`
  )
].map((one): MacStep => ({ ...one, part: "system" }))

const after: ReadonlyArray<MacStep> = [
  step("uninstall", "secrets daemon uninstall", works),
  step("print, uninstalled", 'launchctl print "$TARGET"', { status: [113] }),
  step("status, uninstalled", "secrets daemon status", { status: [4] }),
  step(
    "launchd's own words",
    `log show --last 10m --predicate 'process == "launchd" && eventMessage CONTAINS "agent-secrets"' | tail -n 200`
  )
]

export const macSteps: ReadonlyArray<MacStep> = [...before, ...life, ...use, ...after, ...system]
