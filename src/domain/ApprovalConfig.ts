/**
 * The section `approval` of config.json: how a person learns of requests, and how long those
 * stay open. The rules of the policy say which leases need one.
 */
import * as Schema from "effect/Schema"
import { defaults } from "./settingDefaults.ts"
import { second } from "./GoDuration.ts"
import { maxApprovalTime } from "./OpenRequest.ts"
import * as Setting from "./Setting.ts"
import { optionalSetting, section, setting } from "./Setting.ts"

const word = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(4096))

/** A program and its first arguments. A text is the program alone: no shell splits it. */
const commandLine = Setting.readWith(
  Schema.Union([
    word.check(Schema.isPattern(/^\S+$/u)),
    Schema.Array(word).check(Schema.isMinLength(1), Schema.isMaxLength(32))
  ]),
  Schema.Array(Schema.String),
  (given) => (typeof given === "string" ? [given] : given)
).annotate({ expected: "a program without spaces, or a list of a program and its arguments" })

export const approvalSection = section({
  command: optionalSetting(
    commandLine,
    "a program that asks a person, with the contract of ssh-askpass: the question is its last argument, and status 0 is a yes"
  ),
  notify: optionalSetting(
    commandLine,
    "a program that shows a new request: osascript, notify-send, or any that takes a text as its last argument"
  ),
  open: setting(
    Setting.duration({ minimum: second, maximum: maxApprovalTime }),
    "how long a request for an approval stays open",
    defaults.approval.open
  ),
  timeout: setting(Setting.duration(), "how long command may take to answer", defaults.approval.timeout)
})
