/**
 * Records the session of README.md: runs the commands of the built program in a terminal, and
 * draws what it shows as docs/session.svg. A test records again and compares.
 *
 * `npm run recording`, after a change of what these commands print.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { launch, untilReady } from "../test/harness/daemon.ts"
import { shellWords } from "../test/harness/program.ts"
import { temporaryHome } from "../test/support/temporary.ts"

export const picture = fileURLToPath(new URL("../docs/session.svg", import.meta.url))

/** What is typed: command lines, and the answers to their prompts. */
const session: ReadonlyArray<{ readonly line: string; readonly answer?: string }> = [
  { line: "secrets add github_token", answer: "not-a-real-token" },
  {
    line: `secrets exec --mask --client-id my-agent --secret github_token=TOKEN -- \\\n  sh -c 'echo "I hold $TOKEN"'`
  },
  { line: "secrets list" },
  { line: "secrets audit --tail 5" }
]

const columns = 100

/** Returns the lines that the terminal shows, with the daemon of a home directory. */
export const record = async (home: string): Promise<ReadonlyArray<string>> => {
  const bin = path.join(home, "bin")
  fs.mkdirSync(bin)
  fs.writeFileSync(path.join(bin, "secrets"), `#!/bin/sh\nexec ${shellWords} "$@"\n`, { mode: 0o755 })
  const shown: Array<string> = []
  for (const { answer, line } of session) {
    shown.push(...`$ ${line}`.replace("\n", "\n> ").split("\n"), ...(await inTerminal(line, { home, bin, answer })))
  }
  return shown
}

const recordAnew = async (): Promise<ReadonlyArray<string>> => {
  const home = temporaryHome()
  const daemon = launch({ home })
  try {
    await untilReady(daemon)
    return await record(home)
  } finally {
    await daemon.end("SIGTERM")
    fs.rmSync(home, { recursive: true, force: true })
  }
}

/** Runs a line in a pseudo-terminal by script(1); types the answer when there is a prompt. */
const inTerminal = (
  line: string,
  { answer, bin, home }: { readonly answer: string | undefined; readonly bin: string; readonly home: string }
): Promise<ReadonlyArray<string>> => {
  const sized = `stty cols ${columns} rows 24; ${line}`
  const args = process.platform === "darwin" ? ["-q", "/dev/null", "sh", "-c", sized] : ["-qec", sized, "/dev/null"]
  const env = { HOME: home, PATH: `${bin}:/usr/bin:/bin`, TERM: "xterm", TZ: "UTC", NO_COLOR: "1" }
  const child = spawn("script", args, { cwd: home, env, stdio: ["pipe", "pipe", "inherit"] })
  let text = ""
  let rest = answer
  child.stdout.on("data", (piece) => {
    text += piece
    if (rest === undefined || !text.endsWith(": ")) return
    child.stdin.write(`${rest}\n`)
    rest = undefined
  })
  return new Promise((resolve) => child.once("close", () => resolve(text.replaceAll("\r", "").trimEnd().split("\n"))))
}

/** Replaces what differs from one recording to the next: times and ids. */
export const withoutChance = (line: string): string =>
  line
    .replaceAll(/\b[0-9a-f]{8}(-[0-9a-f]{0,12}){0,4}(…|\b)/g, "ID")
    .replaceAll(/\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?(\.\d+)?Z?/g, "TIME")
    .replaceAll(/\b\d{2}:\d{2}(:\d{2})?\b/g, "TIME")
    .replaceAll(/\b\d+[smh]\b/g, "AGE")
    .replaceAll(/ {2,}/g, "  ")
    .trimEnd()

const [charWidth, lineHeight, margin, titleHeight] = [8.4, 20, 16, 32]

/** Draws the lines as a terminal window. */
export const draw = (lines: ReadonlyArray<string>): string => {
  const width = Math.ceil(columns * charWidth + 2 * margin)
  const height = titleHeight + lines.length * lineHeight + margin
  const dots = ["#ff5f57", "#febc2e", "#28c840"].map(
    (colour, n) => `<circle cx="${margin + 6 + n * 20}" cy="16" r="6" fill="${colour}"/>`
  )
  const texts = lines.map((line, n) => {
    const kind = /^[$>] /.test(line) ? ' class="typed"' : ""
    return `<text x="${margin}" y="${titleHeight + (n + 1) * lineHeight - 6}"${kind}>${escaped(line)}</text>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" xml:space="preserve">`,
    `<title>A session in a terminal: a secret is added, a program uses it, and the audit log shows it</title>`,
    `<style>text { font: 14px ui-monospace, "SF Mono", Menlo, Consolas, monospace; fill: #c9d1d9 } .typed { fill: #7ee787 }</style>`,
    `<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>`,
    ...dots,
    ...texts,
    "</svg>",
    ""
  ].join("\n")
}

/** Returns the lines that a picture shows. */
export const linesOf = (svg: string): ReadonlyArray<string> =>
  [...svg.matchAll(/<text [^>]*>(.*)<\/text>/g)].map(([, text = ""]) => unescaped(text))

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

const unescaped = (text: string): string =>
  text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&")

if (process.argv[1] === fileURLToPath(import.meta.url)) fs.writeFileSync(picture, draw(await recordAnew()))
