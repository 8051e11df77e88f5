/**
 * The property list of launchd: a LaunchAgent, or a LaunchDaemon with an account.
 *
 * Pure: the same options give the same bytes. launchd expands neither ~ nor $HOME, so
 * every path is written out. Where launchd's manual and the service disagree, the
 * comments in the text say what was chosen, for whoever reads the file.
 */
import type { ServiceOptions } from "./ServiceOptions.ts"
import { commandLine, launchdLabel, searchPath } from "./ServiceOptions.ts"

export const launchdPlist = (options: ServiceOptions): string => {
  const { account, home, log } = options
  return [
    `<?xml version="1.0" encoding="UTF-8"?>`,
    `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">`,
    `<!-- agent-secrets, kept alive by launchd: started ${account === undefined ? "at login" : "at boot"}, and again whenever it ends. -->`,
    `<plist version="1.0">`,
    `<dict>`,
    ...entry("Label", text(launchdLabel)),
    ...(account === undefined ? [] : entry("UserName", text(account.user))),
    ...(account?.group === undefined ? [] : entry("GroupName", text(account.group))),
    ``,
    ...(options.runtime === undefined
      ? []
      : [`  <!-- Node opens a debugger on SIGUSR1 from its first millisecond unless it is told not to. -->`]),
    ...entry("ProgramArguments", `<array>`),
    ...commandLine(options).map((word) => `    ${text(word)}`),
    `  </array>`,
    ``,
    `  <!-- launchd's own PATH has neither Homebrew nor anything below the home directory. -->`,
    ...entry("EnvironmentVariables", `<dict>`),
    ...indented(entry("HOME", text(home))),
    ...indented(entry("PATH", text(searchPath(home, ["/opt/homebrew/bin"])))),
    `    <!-- Nothing that runs before the program, and no debugger, comes in by the environment. -->`,
    ...indented(entry("NODE_OPTIONS", text(""))),
    `  </dict>`,
    ...entry("WorkingDirectory", text(home)),
    ``,
    ...lifeCycle,
    ``,
    ...limits,
    ``,
    `  <!-- If this file cannot be opened, launchd does not start the job, and says only 78. -->`,
    ...entry("StandardOutPath", text(log)),
    ...entry("StandardErrorPath", text(log)),
    `</dict>`,
    `</plist>`,
    ``
  ].join("\n")
}

const entry = (key: string, value: string): ReadonlyArray<string> => [`  <key>${key}</key>`, `  ${value}`]

const indented = (lines: ReadonlyArray<string>): ReadonlyArray<string> => lines.map((line) => `  ${line}`)

const text = (value: string): string =>
  `<string>${value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")}</string>`

const number = (value: number): string => `<integer>${value}</integer>`

const lifeCycle = [
  ...entry("RunAtLoad", `<true/>`),
  ...entry("KeepAlive", `<true/>`),
  `  <!-- Not more than one start in so many seconds: a start that fails must not become a hot loop. -->`,
  ...entry("ThrottleInterval", number(10)),
  `  <!-- The daemon ends within two seconds, and by itself after four at the latest. -->`,
  ...entry("ExitTimeOut", number(5)),
  `  <!-- Others wait for its answers. -->`,
  ...entry("ProcessType", text("Interactive"))
]

const limits = [
  `  <!-- 077 in octal: what it makes is for its owner alone. -->`,
  ...entry("Umask", number(0o077)),
  `  <!-- A core file would hold every secret. -->`,
  ...entry("HardResourceLimits", `<dict>`),
  ...indented(entry("Core", number(0))),
  `  </dict>`,
  ...entry("SoftResourceLimits", `<dict>`),
  ...indented(entry("Core", number(0))),
  ...indented(entry("NumberOfFiles", number(16_384))),
  `  </dict>`
]
