/**
 * Makes what a release has besides the package: an archive with the binary, and the Homebrew
 * formula. `.github/workflows/release.yml` runs it.
 *
 *   node scripts/release.ts archive                    after npm run build:binary
 *   node scripts/release.ts formula SHA256SUMS URL     URL is that of the directory with the archives
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import manifest from "../package.json" with { type: "json" }

const root = path.resolve(import.meta.dirname, "..")
const { description, license, version } = manifest

/** The systems that a release has a binary for, as Homebrew and as Node name them. */
const systems = [
  ["on_macos", "on_arm", "darwin-arm64"],
  ["on_linux", "on_arm", "linux-arm64"],
  ["on_linux", "on_intel", "linux-x64"]
] as const

const archiveName = (system: string): string => `agent-secrets-${version}-${system}.tar.gz`

/** Writes the archive of this system into the directory `release`, and returns its path. */
const makeArchive = (): string => {
  const binary = path.join(root, "dist/secrets")
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "agent-secrets-release-"))
  const completions = path.join(directory, "completions")
  fs.mkdirSync(completions)
  for (const [shell, name] of [
    ["bash", "secrets.bash"],
    ["zsh", "_secrets"],
    ["fish", "secrets.fish"]
  ] as const)
    fs.writeFileSync(path.join(completions, name), execFileSync(binary, ["completions", shell]))
  for (const [from, to] of [
    ["dist/secrets", "secrets"],
    ["docs/secrets.1", "secrets.1"],
    ["skills", "skills"],
    ["README.md", "README.md"],
    ["LICENSE", "LICENSE"]
  ] as const)
    fs.cpSync(path.join(root, from), path.join(directory, to), { recursive: true })
  const archive = path.join(root, "release", archiveName(`${process.platform}-${process.arch}`))
  fs.mkdirSync(path.dirname(archive), { recursive: true })
  execFileSync("tar", ["-czf", archive, "-C", directory, ...fs.readdirSync(directory)])
  fs.rmSync(directory, { recursive: true })
  return archive
}

/** Returns the formula; `sums` is the output of sha256sum. Fails if an archive is not among them. */
export const formula = (sums: string, url: string): string => {
  const hashes = new Map(
    sums.split("\n").flatMap((line) => {
      const [, hash = "", name = ""] = /^([0-9a-f]{64}) [ *](?:.*\/)?(.+)$/.exec(line) ?? []
      return hash === "" ? [] : [[name, hash] as const]
    })
  )
  const source = (system: string): ReadonlyArray<string> => {
    const hash = hashes.get(archiveName(system))
    if (hash === undefined) throw new Error(`no hash of ${archiveName(system)}`)
    return [`      url "${url}/${archiveName(system)}"`, `      sha256 "${hash}"`]
  }
  const blocks = [...new Set(systems.map(([system]) => system))].flatMap((system) => [
    `  ${system} do`,
    ...systems
      .filter(([one]) => one === system)
      .flatMap(([, processor, name]) => [`    ${processor} do`, ...source(name), "    end"]),
    "  end"
  ])
  return [
    "class AgentSecrets < Formula",
    `  desc "${description.replace(/\.$/, "")}"`,
    `  homepage "${url.replace(/\/releases\/.*/, "")}"`,
    `  version "${version}"`,
    `  license "${license}"`,
    "",
    ...blocks,
    "",
    "  def install",
    '    bin.install "secrets"',
    '    man1.install "secrets.1"',
    '    bash_completion.install "completions/secrets.bash" => "secrets"',
    '    zsh_completion.install "completions/_secrets"',
    '    fish_completion.install "completions/secrets.fish"',
    '    pkgshare.install "skills"',
    "  end",
    "",
    "  def caveats",
    '    "Start the daemon now and at every login: secrets daemon install"',
    "  end",
    "",
    "  test do",
    '    assert_equal version.to_s, shell_output("#{bin}/secrets --version").strip',
    "  end",
    "end",
    ""
  ].join("\n")
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , what, sums = "", url = ""] = process.argv
  if (what === "archive") process.stdout.write(`${makeArchive()}\n`)
  else if (what === "formula" && url !== "") process.stdout.write(formula(fs.readFileSync(sums, "utf8"), url))
  else throw new Error("usage: node scripts/release.ts archive | formula SHA256SUMS URL")
}
