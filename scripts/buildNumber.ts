/**
 * Identifies a build: the commit, and whether the sources differ from it. The same sources
 * give the same number, on any machine and at any time.
 */
import { execFileSync } from "node:child_process"

export const buildNumber = (): string => {
  try {
    const args = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()
  } catch {
    // A tarball of the sources, or no git.
    return "unknown"
  }
}
