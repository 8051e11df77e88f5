/**
 * The launchd property list: a LaunchAgent, or a LaunchDaemon with an account.
 *
 * Pure: the same options give the same bytes. launchd expands neither ~ nor $HOME, so
 * every path is absolute.
 */
import * as path from "node:path"
import type { ServiceOptions } from "./ServiceOptions.ts"
import { commandLine, launchdLabel, searchPath } from "./ServiceOptions.ts"

export const launchdPlist = (options: ServiceOptions): string => {
  const { account, home, log } = options
  return [
    `<?xml version="1.0" encoding="UTF-8"?>`,
    `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">`,
    `<!-- agent-secrets under launchd: started ${account === undefined ? "at login" : "at boot"}, and again whenever it exits. -->`,
    `<plist version="1.0">`,
    `<dict>`,
    ...entry("Label", text(launchdLabel)),
    ...(account === undefined ? [] : entry("UserName", text(account.user))),
    ...(account?.group === undefined ? [] : entry("GroupName", text(account.group))),
    ``,
    ...(options.runtime === undefined
      ? []
      : [`  <!-- Without the first option, Node opens a debugger on SIGUSR1. -->`]),
    ...entry("ProgramArguments", `<array>`),
    ...commandLine(options).map((word) => `    ${text(word)}`),
    `  </array>`,
    ``,
    `  <!-- The default PATH of launchd has neither Homebrew nor any directory below the home directory. -->`,
    ...entry("EnvironmentVariables", `<dict>`),
    ...indented(entry("HOME", text(home))),
    ...indented(entry("PATH", text(searchPath(home, ["/opt/homebrew/bin"])))),
    `    <!-- The environment cannot preload code or open a debugger. -->`,
    ...indented(entry("NODE_OPTIONS", text(""))),
    `  </dict>`,
    ...entry("WorkingDirectory", text(home)),
    ``,
    ...lifecycle,
    ``,
    ...limits,
    ``,
    `  <!-- If launchd cannot open this file, it does not start the job and reports only exit code 78. -->`,
    ...entry("StandardOutPath", text(log)),
    ...entry("StandardErrorPath", text(log)),
    `</dict>`,
    `</plist>`,
    ``
  ].join("\n")
}

/** Returns the program of an installed property list and the directories of its logs; launchd starts no job without them. */
export const plistRequiredPaths = (plist: string): ReadonlyArray<string> => {
  const logs = [stringAfter(plist, "StandardOutPath"), stringAfter(plist, "StandardErrorPath")]
  const directories = logs.map((log) => (log === undefined ? undefined : path.dirname(log)))
  return [...new Set([stringAfter(plist, "ProgramArguments"), ...directories])].filter((found) => found !== undefined)
}

/** Returns the log that an installed property list names; empty if it names none. */
export const plistLog = (plist: string): string => stringAfter(plist, "StandardErrorPath") ?? ""

const stringAfter = (plist: string, key: string): string | undefined => {
  const [, value] = new RegExp(`<key>${key}</key>\\s*(?:<array>\\s*)?<string>([^<]*)</string>`).exec(plist) ?? []
  return value?.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&")
}

const entry = (key: string, value: string): ReadonlyArray<string> => [`  <key>${key}</key>`, `  ${value}`]

const indented = (lines: ReadonlyArray<string>): ReadonlyArray<string> => lines.map((line) => `  ${line}`)

const text = (value: string): string =>
  `<string>${value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")}</string>`

const number = (value: number): string => `<integer>${value}</integer>`

const lifecycle = [
  ...entry("RunAtLoad", `<true/>`),
  ...entry("KeepAlive", `<true/>`),
  `  <!-- At most one start in this many seconds, so that a failing start does not become a busy loop. -->`,
  ...entry("ThrottleInterval", number(10)),
  `  <!-- The daemon ends within three seconds, its drain timeout included; a shutdown that hangs is ended after four. -->`,
  ...entry("ExitTimeOut", number(5)),
  `  <!-- Other programs wait for its replies. -->`,
  ...entry("ProcessType", text("Interactive"))
]

const limits = [
  `  <!-- 077 in octal: files are readable by their owner only. -->`,
  ...entry("Umask", number(0o077)),
  `  <!-- A core dump would contain every secret. -->`,
  ...entry("HardResourceLimits", `<dict>`),
  ...indented(entry("Core", number(0))),
  `  </dict>`,
  ...entry("SoftResourceLimits", `<dict>`),
  ...indented(entry("Core", number(0))),
  `  </dict>`
]
