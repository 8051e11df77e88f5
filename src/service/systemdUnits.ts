/**
 * The systemd units: a user or system service, and its socket unit. The same options give the
 * same bytes. Sandboxing that needs privileges, such as read-only file systems, is in the
 * system service only: a user manager refuses or silently ignores it.
 */
import type { ServiceOptions, ServiceSocket } from "./ServiceOptions.ts"
import { commandLine, searchPath, serviceUnit, socketUnit } from "./ServiceOptions.ts"
import { exitStatus } from "../domain/exitStatus.ts"

export const systemdService = (options: ServiceOptions): string => {
  const { account, home, socket } = options
  return [
    `# agent-secrets under systemd. To override a setting: systemctl ${account === undefined ? "--user " : ""}edit ${serviceUnit}`,
    ``,
    `[Unit]`,
    `Description=agent-secrets, leases secrets to programs`,
    ...(socket === undefined ? [] : [`Requires=${socketUnit}`, `After=${socketUnit}`]),
    `# No start limit: a service that has failed permanently would go unnoticed.`,
    `StartLimitIntervalSec=0`,
    ``,
    `[Service]`,
    `# The colon turns off variable substitution, so that a path may contain a dollar sign.`,
    `ExecStart=:${commandLine(options).map(systemdWord).join(" ")}`,
    `Environment=${[`HOME=${home}`, `PATH=${searchPath(home)}`, "NODE_OPTIONS="].map(systemdWord).join(" ")}`,
    `# The environment cannot preload code or open a debugger.`,
    `UnsetEnvironment=NODE_V8_COVERAGE NODE_COMPILE_CACHE NODE_DEBUG NODE_DEBUG_NATIVE BUN_OPTIONS BUN_INSPECT BUN_INSPECT_CONNECT_TO BUN_INSPECT_PRELOAD LD_PRELOAD LD_AUDIT`,
    ...(account === undefined ? [] : [`User=${account.user}`, `WorkingDirectory=~`]),
    ...(account?.group === undefined ? [] : [`Group=${account.group}`]),
    ``,
    ...lifecycle,
    ...(socket === undefined ? lastingFailures : []),
    ``,
    ...limits,
    ``,
    ...filters,
    ...(account === undefined ? [] : systemOnly(options)),
    ``,
    `[Install]`,
    `WantedBy=${account === undefined ? "default.target" : "multi-user.target"}`,
    ``
  ].join("\n")
}

export const systemdSocket = (options: ServiceOptions, socket: ServiceSocket): string =>
  [
    `# The socket of agent-secrets, for socket activation: while the daemon restarts, connections wait.`,
    ``,
    `[Unit]`,
    `Description=agent-secrets socket`,
    ``,
    `[Socket]`,
    `ListenStream=${escapePercent(socket.path)}`,
    `SocketMode=${socket.group === undefined ? "0600" : "0660"}`,
    ...(options.account === undefined ? [] : [`SocketUser=${options.account.user}`]),
    ...(socket.group === undefined ? [] : [`SocketGroup=${socket.group}`]),
    `# The group may traverse the directories that systemd creates for the socket.`,
    `DirectoryMode=${socket.group === undefined ? "0700" : "0710"}`,
    `Backlog=1024`,
    `# Frees the path for a daemon that is started by hand.`,
    `RemoveOnStop=yes`,
    ``,
    `[Install]`,
    `WantedBy=sockets.target`,
    ``
  ].join("\n")

const lifecycle = [
  `# The daemon notifies systemd when it answers requests. Without a watchdog ping for 12 seconds, it is replaced.`,
  `Type=notify`,
  `# Node has no Unix datagram sockets, so a child process sends the notifications.`,
  `NotifyAccess=all`,
  `WatchdogSec=12`,
  `# The default, SIGABRT, does not end the daemon.`,
  `WatchdogSignal=SIGKILL`,
  `TimeoutStartSec=30`,
  `# The daemon ends within three seconds, its drain timeout included; a shutdown that hangs is ended after four.`,
  `TimeoutStopSec=5`,
  `Restart=always`,
  `# At most one start a second; from systemd 254 on, the delay grows to five seconds. It is`,
  `# reset only by a manual start, so it stays below the timeout of secrets daemon restart.`,
  `RestartSec=1`,
  `RestartSteps=5`,
  `RestartMaxDelaySec=5`
]

/** Not with socket activation: there a waiting connection would start the service again without any delay. */
const lastingFailures = [
  `# No restart repairs an unreadable store or an invalid setting. A full disk and a second`,
  `# daemon may go away.`,
  `RestartPreventExitStatus=${exitStatus.unreadableStore} ${exitStatus.badConfig}`
]

const limits = [`UMask=0077`, `# A core dump would contain every secret.`, `LimitCORE=0`, `LimitNOFILE=16384`]

/** Seccomp filters, which user managers may set too. Child processes such as rotation commands inherit them. */
const filters = [
  `# Neither the daemon nor its children can gain privileges.`,
  `NoNewPrivileges=yes`,
  `LockPersonality=yes`,
  `RestrictRealtime=yes`,
  `RestrictSUIDSGID=yes`,
  `RestrictNamespaces=yes`,
  `RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK`,
  `SystemCallArchitectures=native`,
  `SystemCallFilter=@system-service`,
  `SystemCallErrorNumber=EPERM`,
  `# V8 compiles to machine code at run time.`,
  `MemoryDenyWriteExecute=no`
]

const systemOnly = ({ writable }: ServiceOptions): ReadonlyArray<string> => [
  `CapabilityBoundingSet=`,
  `AmbientCapabilities=`,
  `# Every other path is read-only, for rotation commands too.`,
  `ProtectSystem=strict`,
  `ProtectHome=read-only`,
  `ReadWritePaths=${writable.map(listedPath).join(" ")}`,
  // A private /tmp would hide a state directory below /tmp.
  ...(writable.some((path) => /^\/(?:var\/)?tmp(?:\/|$)/.test(path)) ? [] : [`PrivateTmp=yes`]),
  `PrivateDevices=yes`,
  `ProtectKernelTunables=yes`,
  `ProtectKernelModules=yes`,
  `ProtectKernelLogs=yes`,
  `ProtectControlGroups=yes`,
  `ProtectClock=yes`,
  `ProtectHostname=yes`,
  `ProtectProc=invisible`,
  `RemoveIPC=yes`,
  `KeyringMode=private`
]

/**
 * Quotes a word of a command line or of Environment=, in which a backslash escapes.
 *
 * A percent sign begins a specifier in all three syntaxes. `renderService` rejects control
 * characters before. Source: systemd.syntax(7), and src/basic/extract-word.c for what the
 * manual leaves open.
 */
const systemdWord = (value: string): string =>
  plain.test(value) ? value : `"${escapePercent(value).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`

/** Quotes a path in a list of paths, in which a backslash does not escape. */
const listedPath = (value: string): string =>
  plain.test(value)
    ? value
    : escapePercent(value)
        .split('"')
        .map((piece) => `"${piece}"`)
        .join(`'"'`)

/** Escapes a path that is the whole value. Neither quotes nor backslashes are special there. */
const escapePercent = (value: string): string => value.replaceAll("%", "%%")

const plain = /^[\w./:=@+,-]+$/
