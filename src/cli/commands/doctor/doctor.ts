/**
 * secrets doctor: everything that commonly goes wrong, each with a verdict and what to do.
 *
 * It only reads, and needs no daemon. It fails if something is wrong; a warning is no failure.
 * `--report` prints the verdicts alone, to attach them to an issue.
 */
import * as Effect from "effect/Effect"
import { counted } from "../../../domain/counted.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { wrapBehind } from "../../../domain/wrapText.ts"
import { defineCommand, unlimited } from "../../command/Command.ts"
import type { Problem } from "../../command/Output.ts"
import { terminalWidth } from "../../terminal/table.ts"
import { describeProgram } from "../version.ts"
import type { Finding, Verdict } from "./Check.ts"

export const doctorCommand = defineCommand({
  name: "doctor",
  summary: "Check everything that commonly goes wrong",
  arity: [0, 0],
  flags: {
    report: { type: "boolean", summary: "print it without any name, path or value, to attach it to an issue" }
  },
  examples: ["secrets doctor", "secrets doctor --json", "secrets doctor --report > report.txt"],
  about: [
    "It reads the files, asks the daemon if there is one, and changes nothing.",
    "The exit status is 1 if something is wrong. Warnings and notes do not change it."
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    const [{ runChecks }, { examine }] = yield* Effect.promise(() =>
      Promise.all([import("./checks.ts"), import("./examine.ts")])
    )
    const found = yield* runChecks(yield* examine(args))
    const findings = args.flag("report") ? found.map(({ check, verdict, what }) => ({ check, verdict, what })) : found
    const counts = countsOf(findings)
    return {
      lines: [...(args.flag("report") ? [describeProgram()] : []), ...doctorLines(findings, terminalWidth())],
      result: { program: describeProgram(), findings, ...counts },
      problem: counts.wrong === 0 ? undefined : somethingIsWrong(findings)
    }
  })
})

type NamedFinding = Finding & { readonly check: string }

const countsOf = (findings: ReadonlyArray<NamedFinding>): Readonly<Record<Verdict, number>> => {
  const count = (verdict: Verdict) => findings.filter((finding) => finding.verdict === verdict).length
  return { ok: count("ok"), note: count("note"), warning: count("warning"), wrong: count("wrong") }
}

/** As wide as the longest verdict and the longest name of a check. */
const [verdictWidth, checkWidth] = [9, 11]
const indentation = " ".repeat(verdictWidth + checkWidth)

const linesOf = ({ check, fix = "", verdict, what, where = "" }: NamedFinding, columns: number) => [
  ...wrapBehind(`${verdict.padEnd(verdictWidth)}${check.padEnd(checkWidth)}`, what, columns),
  ...(verdict === "ok"
    ? []
    : [where, fix].flatMap((text) => wrapBehind(indentation, text, text.startsWith("Run: ") ? unlimited : columns)))
]

/** Formats the findings for a terminal of that width; without one, a text is one line. */
export const doctorLines = (findings: ReadonlyArray<NamedFinding>, width?: number): ReadonlyArray<string> => {
  const { note, ok, warning, wrong } = countsOf(findings)
  return [
    ...findings.flatMap((finding) => linesOf(finding, width === undefined || width === 0 ? unlimited : width)),
    "",
    [`${ok} ok`, counted(note, "note"), counted(warning, "warning"), `${wrong} wrong`].join(", ")
  ]
}

const somethingIsWrong = (findings: ReadonlyArray<NamedFinding>): Problem => {
  const checks = findings.filter(({ verdict }) => verdict === "wrong").map(({ check }) => check)
  return {
    message: `something is wrong: ${[...new Set(checks)].join(", ")}`,
    code: "generic_error",
    fix: "Do what stands below each line that says wrong",
    exitStatus: exitStatus.failed
  }
}
