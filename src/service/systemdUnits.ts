/**
 * The units of systemd: a service, of a user or of the system, and its socket where
 * systemd is to keep that.
 *
 * Pure: the same options give the same bytes. What needs privileges to be set up, such
 * as read-only file systems, is in a service of the system alone: a user's manager
 * refuses to start what asks for it, or leaves it out without a word.
 */
import type { ServiceOptions, ServiceSocket } from "./ServiceOptions.ts"
import { commandLine, searchPath, serviceUnit, socketUnit } from "./ServiceOptions.ts"
import { exitStatus } from "../domain/exitStatus.ts"
import { listedPath, wholeLine, systemdWord } from "./systemdSyntax.ts"

export const systemdService = (options: ServiceOptions): string => {
  const { account, home, socket } = options
  return [
    `# agent-secrets, kept alive by systemd. To change something: systemctl ${account === undefined ? "--user " : ""}edit ${serviceUnit}`,
    ``,
    `[Unit]`,
    `Description=agent-secrets, which leases secrets`,
    ...(socket === undefined ? [] : [`Requires=${socketUnit}`, `After=${socketUnit}`]),
    `# It is never given up: a service that has failed for good is what nobody notices.`,
    `StartLimitIntervalSec=0`,
    ``,
    `[Service]`,
    `# The colon: a dollar sign in a path is a dollar sign.`,
    `ExecStart=:${commandLine(options).map(systemdWord).join(" ")}`,
    `Environment=${[`HOME=${home}`, `PATH=${searchPath(home)}`, "NODE_OPTIONS="].map(systemdWord).join(" ")}`,
    `# Nothing that runs before the program, and no debugger, comes in by the environment.`,
    `UnsetEnvironment=NODE_V8_COVERAGE NODE_COMPILE_CACHE NODE_DEBUG NODE_DEBUG_NATIVE BUN_OPTIONS BUN_INSPECT BUN_INSPECT_CONNECT_TO BUN_INSPECT_PRELOAD LD_PRELOAD LD_AUDIT`,
    ...(account === undefined ? [] : [`User=${account.user}`, `WorkingDirectory=~`]),
    ...(account?.group === undefined ? [] : [`Group=${account.group}`]),
    ``,
    ...lifeCycle,
    ...(socket === undefined ? lastingReasons : []),
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
    `# The socket of agent-secrets, kept by systemd: while the daemon starts again, whoever connects waits.`,
    ``,
    `[Unit]`,
    `Description=The socket of agent-secrets`,
    ``,
    `[Socket]`,
    `ListenStream=${wholeLine(socket.path)}`,
    `SocketMode=${socket.group === undefined ? "0600" : "0660"}`,
    ...(options.account === undefined ? [] : [`SocketUser=${options.account.user}`]),
    ...(socket.group === undefined ? [] : [`SocketGroup=${socket.group}`]),
    `# Of the directories that are made for it, the group may pass through.`,
    `DirectoryMode=${socket.group === undefined ? "0700" : "0710"}`,
    `Backlog=1024`,
    `# A daemon that is started by hand later finds its place free.`,
    `RemoveOnStop=yes`,
    ``,
    `[Install]`,
    `WantedBy=sockets.target`,
    ``
  ].join("\n")

const lifeCycle = [
  `# Started is what answers; what has not been heard of for twelve seconds hangs, and is replaced.`,
  `Type=notify`,
  `# All: Node has no datagram sockets, so it is a child that tells.`,
  `NotifyAccess=all`,
  `WatchdogSec=12`,
  `# The daemon lives through SIGABRT, which is what would come otherwise.`,
  `WatchdogSignal=SIGKILL`,
  `TimeoutStartSec=30`,
  `# It ends within two seconds, and by itself after four at the latest.`,
  `TimeoutStopSec=5`,
  `Restart=always`,
  `# At most one start a second; from systemd 254 on, the pause grows to five. It does not`,
  `# shrink until somebody starts the unit, so it stays below what a restart may take.`,
  `RestartSec=1`,
  `RestartSteps=5`,
  `RestartMaxDelaySec=5`
]

/**
 * With a socket of systemd's, it would be the other way round: the connection that waits starts
 * the service anew at once, so that a pause between starts is the only brake.
 */
const lastingReasons = [
  `# An unreadable store and a wrong setting do not mend themselves. A disk that is full does, and`,
  `# another daemon that is in the way ends one day.`,
  `RestartPreventExitStatus=${exitStatus.unreadableStore} ${exitStatus.badConfig}`
]

const limits = [`UMask=0077`, `# A core file would hold every secret.`, `LimitCORE=0`, `LimitNOFILE=16384`]

/** Filters of system calls, which every manager may set. They hold for rotation commands and joelclaw too. */
const filters = [
  `# For the daemon and whatever it runs: no way to more rights than it has.`,
  `NoNewPrivileges=yes`,
  `LockPersonality=yes`,
  `RestrictRealtime=yes`,
  `RestrictSUIDSGID=yes`,
  `RestrictNamespaces=yes`,
  `RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK`,
  `SystemCallArchitectures=native`,
  `SystemCallFilter=@system-service`,
  `SystemCallErrorNumber=EPERM`,
  `# Node makes machine code as it runs.`,
  `MemoryDenyWriteExecute=no`
]

const systemOnly = ({ writable }: ServiceOptions): ReadonlyArray<string> => [
  `CapabilityBoundingSet=`,
  `AmbientCapabilities=`,
  `# What is not named here is read-only, for rotation commands too.`,
  `ProtectSystem=strict`,
  `ProtectHome=read-only`,
  `ReadWritePaths=${writable.map(listedPath).join(" ")}`,
  // A private /tmp would hide what is to be written there.
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
